"""Who asks a Service and by which way: the options of every verb that sends or predicts."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import click

from labkit.cli import complete, options
from labkit.inspection.predict import asking

_FIELDS = tuple(field.name for field in dataclasses.fields(asking.Request))
_OPTIONS = (
    options.namespace(),
    click.option(
        "--from", "sender", default="", metavar="WHO", help="client, node/NAME or pod/NAME."
    ),
    click.option(
        "--via",
        type=click.Choice(asking.VIAS),
        help="By default node-port from outside the cluster or with --node, else cluster-ip.",
    ),
    click.option("--port", default="", help="One port of several, by name or number."),
    click.option("--node", default="", shell_complete=complete.nodes, help="Whose node port."),
    click.argument("service", shell_complete=complete.services),
)


def options_of(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add SERVICE and these options to a verb, which gets them as one value: `request`."""

    @functools.wraps(verb)
    def called(*given: Any, **typed: Any) -> Any:
        fields = {name: typed.pop(name) or "" for name in _FIELDS}
        return verb(*given, request=asking.Request(**fields), **typed)

    return functools.reduce(lambda inner, option: option(inner), reversed(_OPTIONS), called)
