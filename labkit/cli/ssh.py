"""`labkit ssh`."""

from __future__ import annotations

import click

from labkit.cli import complete, options, session


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@options.shared()
@click.argument("node", shell_complete=complete.nodes)
@click.argument("argv", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
@click.pass_obj
def command(current: session.Session, node: str, argv: tuple[str, ...]) -> int:
    """Log in to a node, with OpenSSH's own client and the lab's key.

    \b
      labkit ssh node1
      labkit ssh node2 -- iptables-save -t nat
    """
    words = argv[1:] if argv[:1] == ("--",) else argv
    with current.lab() as lab:
        program = lab.ssh_argv(node, words)
    return current.world.become(program)
