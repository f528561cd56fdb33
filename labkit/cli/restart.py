"""`labkit restart`."""

from __future__ import annotations

import sys

import click

from labkit.cli import complete, options, output, progress, session


@click.command()
@options.shared("table", "json", "yaml", progress=True)
@click.argument("node", shell_complete=complete.nodes)
@click.pass_obj
def command(current: session.Session, node: str) -> None:
    """End one machine and start it again, while the others go on.

    \b
      labkit restart node1
    """
    with current.lab() as lab, progress.watch(current.events, sys.stderr) as observer:
        lab.stop(node, observer=observer)
        status = lab.start(node, observer=observer, timeout_s=current.timeout_s)
    output.show(status, current.output)
