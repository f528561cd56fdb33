"""The options that verbs share, declared once. Each stores what it is given in the Session.

Every option can also be set by a variable, `LABKIT_<VERB>_<OPTION>`; `--name` also by LABKIT_NAME.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from labkit.cli import complete, session

Function = TypeVar("Function", bound=Callable[..., Any])

FORMATS = ("table", "json", "yaml", "name")
SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """`30`, `30s`, `500ms`, `2m`, `1h`: seconds when no unit is named."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", str(value).strip())
        if not found:
            self.fail(f"{value!r} is not a duration such as 30s, 500ms or 2m", param, ctx)
        return float(found[1]) * SECONDS[found[2]]


def shared(
    *formats: str, yes: bool = False, progress: bool = False
) -> Callable[[Function], Function]:
    """Add --name and --debug; -o where there are formats; what takes its time, or asks, as well."""

    def decorate(function: Function) -> Function:
        for option in reversed([*_lab(), *_output(formats), *_yes(yes), *_progress(progress)]):
            function = option(function)
        return function

    return decorate


def namespace() -> Callable[[Function], Function]:
    """Add -n/--namespace, handed to the verb itself."""
    return click.option("-n", "--namespace", default="default", show_default=True, metavar="NAME")


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None and param.name:
        setattr(ctx.ensure_object(session.Session), param.name, value)


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    _store(ctx, param, value)
    if value:
        form = "%(relativeCreated)6d ms %(name)s: %(message)s"
        logging.basicConfig(level=logging.DEBUG, format=form)


def _option(*names: str, callback: Any = _store, **settings: Any) -> Callable[[Any], Any]:
    """Eager, so that an error in any other option is already said in the form of -o."""
    return click.option(*names, expose_value=False, is_eager=True, callback=callback, **settings)


def _lab() -> Iterator[Callable[[Any], Any]]:
    yield _option(
        "--name",
        metavar="LAB",
        envvar="LABKIT_NAME",
        shell_complete=complete.labs,
        help="Which lab; by default the lab file's, else `lab`.",
    )
    yield _option(
        "--debug", is_flag=True, callback=_debug, help="Log what happens; show tracebacks."
    )


def _output(formats: tuple[str, ...]) -> Iterator[Callable[[Any], Any]]:
    if formats:
        yield _option(
            "-o",
            "--output",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="How the result is printed.",
        )


def _yes(wanted: bool) -> Iterator[Callable[[Any], Any]]:
    if wanted:
        yield _option("-y", "--yes", is_flag=True, help="Agree to whatever would be asked.")


def _progress(wanted: bool) -> Iterator[Callable[[Any], Any]]:
    if wanted:
        yield _option(
            "--events",
            type=click.Choice(["auto", "plain", "json"]),
            default="auto",
            show_default=True,
            help="Progress on stderr: drawn on a terminal, plain lines, or one JSON object a line.",
        )
        yield _option(
            "--timeout",
            "timeout_s",
            type=Duration(),
            envvar="LABKIT_TIMEOUT",
            help=f"Give up after this long, such as 30s or 2m. [default: {session.TIMEOUT_S:g}s]",
        )
