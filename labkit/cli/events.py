"""`labkit events`."""

from __future__ import annotations

import json

import click

from labkit.cli import complete, options, output, session
from labkit.inspection.events import event


@click.command()
@options.shared("table", "json")
@click.option("--node", "nodes", multiple=True, shell_complete=complete.nodes, help="Only this.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(event.KINDS), help="Only these.")
@click.option("--for", "seconds", type=options.Duration(), help="End after this long.")
@click.pass_obj
def command(
    current: session.Session,
    nodes: tuple[str, ...],
    kinds: tuple[event.Kind, ...],
    seconds: float | None,
) -> None:
    """Stream what happens in the lab, a line each, until Ctrl-C.

    \b
      labkit events
      labkit events --kind rule --node node1
      labkit events --kind connection -o json --for 30s
    """
    show = _as_json if current.output == "json" else repr
    with current.lab() as lab, lab.events(nodes, kinds=kinds) as happening:
        output.note("listening; Ctrl-C ends it")
        try:
            for one in happening.within(seconds):
                output.lines([show(one)])
        except KeyboardInterrupt:
            return


def _as_json(one: event.Event) -> str:
    return json.dumps(one.to_json(), separators=(",", ":"))
