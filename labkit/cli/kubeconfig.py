"""`labkit kubeconfig`."""

from __future__ import annotations

import click

from labkit.cli import options, session


@click.command()
@options.shared()
@click.option("--path", "only_path", is_flag=True, help="Print where the file is kept instead.")
@click.pass_obj
def command(current: session.Session, only_path: bool) -> None:
    """Print the kubeconfig of the lab's API server: its own, or the one that the lab was given.

    \b
      labkit kubeconfig > lab.kubeconfig
      kubectl --kubeconfig "$(labkit kubeconfig --path)" get nodes

    It holds credentials of an administrator. The address in it is the server's in the lab's
    network, which `labkit kubectl` reaches from anywhere.
    """
    with current.lab() as lab:
        text = lab.kubeconfig()
    click.echo(str(lab.paths.kubeconfig) if only_path else text, nl=only_path)
