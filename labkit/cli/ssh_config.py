"""`labkit ssh-config`."""

from __future__ import annotations

import click

from labkit.cli import options, session


@click.command()
@options.shared()
@click.option("--path", "only_path", is_flag=True, help="Print where the file is kept instead.")
@click.pass_obj
def command(current: session.Session, only_path: bool) -> None:
    """Print what OpenSSH's own client needs to reach the nodes.

    \b
      labkit ssh-config > lab.ssh && ssh -F lab.ssh node1
      scp -F "$(labkit ssh-config --path)" node1:/etc/hostname .
    """
    with current.lab() as lab:
        if only_path:
            click.echo(str(lab.paths.ssh_config))
        else:
            click.echo(lab.ssh_config(), nl=False)
