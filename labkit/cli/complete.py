"""What the shell offers when TAB is pressed. A question that fails offers nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from labkit import paths
from labkit.cli import session
from labkit.model import resources

if TYPE_CHECKING:
    from labkit.lab import Lab

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def labs(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Every lab of this machine."""
    return _beginning(paths.lab_names(), incomplete)


def kinds(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Every kind of object."""
    return _beginning((resource.plural for resource in resources.RESOURCES), incomplete)


def faults(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Every fault that can be injected."""
    from labkit.faults import FAULTS

    return _beginning(FAULTS, incomplete)


def nodes(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Every machine of the lab."""
    return _asked(ctx, lambda lab: (node.name for node in lab.spec.nodes), incomplete)


def services(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Every Service of the namespace `default`."""
    return _asked(ctx, lambda lab: _names(lab, "services"), incomplete)


def targets(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Every machine, and every pod as `pod/NAME`."""

    def names(lab: Lab) -> Iterable[str]:
        yield from (node.name for node in lab.spec.nodes)
        yield from (f"pod/{name}" for name in _names(lab, "pods"))

    return _asked(ctx, names, incomplete)


def _names(lab: Lab, kind: str) -> list[str]:
    return [str(obj["metadata"]["name"]) for obj in lab.get(kind).objects]


def _asked(ctx: click.Context, ask: Callable[[Lab], Iterable[str]], incomplete: str) -> list[str]:
    found: list[str] = []
    try:
        with ctx.ensure_object(session.Session).lab() as lab:
            for name in ask(lab):
                found.append(name)  # noqa: PERF402 - what came before a failure is kept
    except Exception:  # noqa: BLE001, S110 - a shell that completes shows no errors
        pass
    return _beginning(found, incomplete)


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
