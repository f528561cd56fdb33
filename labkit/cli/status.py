"""`labkit status`."""

from __future__ import annotations

import click

from labkit.cli import options, output, session

#: Something that should run does not: done, with a warning.
DEGRADED = 3


@click.command()
@options.shared(*options.FORMATS)
@click.pass_obj
def command(current: session.Session) -> int:
    """Show the lab's machines and what runs on them.

    \b
      labkit status
      labkit status -o json

    Ends with 0 when all is well or the lab is down, 3 when part of it does not run.
    """
    with current.lab() as lab:
        status = lab.status()
    output.show(status, current.output, [node.name for node in status.nodes])
    return DEGRADED if status.state == "partly running" else 0
