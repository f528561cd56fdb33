"""`labkit stop`."""

from __future__ import annotations

import sys

import click

from labkit.cli import complete, options, output, progress, session


@click.command()
@options.shared("table", "json", "yaml", progress=True)
@click.argument("node", shell_complete=complete.nodes)
@click.pass_obj
def command(current: session.Session, node: str) -> None:
    """End one machine, while the others go on. Its disk stays.

    \b
      labkit stop node2
    """
    with current.lab() as lab, progress.watch(current.events, sys.stderr) as observer:
        status = lab.stop(node, observer=observer)
    output.show(status, current.output)
