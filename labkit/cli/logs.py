"""`labkit logs`."""

from __future__ import annotations

import click

from labkit.cli import complete, options, session


@click.command()
@options.shared()
@click.option("--tail", "lines", type=click.IntRange(min=0), help="Only the last lines.")
@click.argument("target", shell_complete=complete.targets, metavar="NODE/SERVICE|POD")
@click.pass_obj
def command(current: session.Session, target: str, lines: int | None) -> None:
    """Print the log of a service on a node, or of a pod.

    \b
      labkit logs node1/kube-proxy --tail 20
      labkit logs control/kube-apiserver
      labkit logs app1-1
    """
    with current.lab() as lab:
        click.echo(lab.logs(target, lines=lines), nl=False)
