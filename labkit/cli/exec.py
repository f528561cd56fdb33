"""`labkit exec`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from labkit.cli import complete, options, output, session

if TYPE_CHECKING:
    from labkit.model.commands import Command


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@options.shared("table", "json", "yaml")
@click.option("-i", "--stdin", "feed", is_flag=True, help="Give it this command's input.")
@click.argument("target", shell_complete=complete.targets, metavar="NODE|POD")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.pass_obj
def command(current: session.Session, target: str, argv: tuple[str, ...], feed: bool) -> int:
    """Run a command on a node or in a pod. Ends with the command's own exit status.

    \b
      labkit exec node1 -- iptables -t nat -L KUBE-PORTALS-HOST -n -v
      labkit exec client -- curl -s http://192.168.56.11:30062/
      labkit exec pod/app1-1 -- ip address
    """
    words = argv[1:] if argv[0] == "--" else argv
    with current.lab() as lab:
        done = lab.exec(target, words, stdin=sys.stdin.read() if feed else "")
    if current.output == "table":
        click.echo(done.stdout, nl=False)
        click.echo(done.stderr, nl=False, err=True)
    else:
        output.data(as_data(done), current.output)
    return done.exit_status


def as_data(done: Command) -> dict[str, Any]:
    return {
        "schema": "labkit.dev/command",
        "version": 1,
        "node": done.node,
        "argv": list(done.argv),
        "exit_status": done.exit_status,
        "stdout": done.stdout,
        "stderr": done.stderr,
        "seconds": round(done.seconds, 3),
    }
