"""`labkit start`."""

from __future__ import annotations

import sys

import click

from labkit.cli import complete, options, output, progress, session


@click.command()
@options.shared("table", "json", "yaml", progress=True)
@click.argument("node", shell_complete=complete.nodes)
@click.pass_obj
def command(current: session.Session, node: str) -> None:
    """Start one machine and what runs on it, while the others go on.

    \b
      labkit stop node2 && labkit inspect app1     the endpoints on node2 go
      labkit start node2                           and come back
    """
    with current.lab() as lab, progress.watch(current.events, sys.stderr) as observer:
        status = lab.start(node, observer=observer, timeout_s=current.timeout_s)
    output.show(status, current.output)
