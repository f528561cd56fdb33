"""`labkit delete`."""

from __future__ import annotations

import click

from labkit import errors
from labkit.cli import complete, get, options, output, session


@click.command()
@options.shared("table", "name")
@options.namespace()
@click.argument("kind", shell_complete=complete.kinds)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def command(current: session.Session, kind: str, names: tuple[str, ...], namespace: str) -> None:
    """Delete objects, and return when they are gone.

    \b
      labkit delete service app1
      labkit delete pod/app1-1
      labkit delete pods app1-1 app1-2 -n default
    """
    kind, first = get.split(kind, names[0] if names else None)
    if first is None:
        raise errors.UsageError(
            f"which of the {kind}?", hint=f"`labkit get {kind}` shows the names"
        )
    with current.lab() as lab:
        for name in (first, *names[1:]):
            lab.delete(kind, name, namespace)
            ended = "" if current.output == "name" else " deleted"
            output.lines([f"{kind}/{name}{ended}"])
