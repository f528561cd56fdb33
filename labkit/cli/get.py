"""`labkit get`."""

from __future__ import annotations

import click

from labkit import errors
from labkit.cli import complete, options, output, session


@click.command()
@options.shared(*options.FORMATS)
@options.namespace()
@click.option("-A", "--all-namespaces", is_flag=True, help="From every namespace.")
@click.argument("kind", shell_complete=complete.kinds)
@click.argument("only", required=False, metavar="[NAME]")
@click.pass_obj
def command(
    current: session.Session, kind: str, only: str | None, namespace: str, all_namespaces: bool
) -> None:
    """Show objects: `services`, `svc`, `pods`, `nodes`, `endpoints`, `events`, `namespaces`.

    \b
      labkit get pods
      labkit get service app1 -o yaml
      labkit get svc/app1
      labkit get events -A
    """
    kind, name = split(kind, only)
    where = None if all_namespaces and name is None else namespace
    with current.lab() as lab:
        table = lab.get(kind, name, where)
    if current.output in ("json", "yaml") and name:
        output.data(table.objects[0], current.output)
    else:
        names = [f"{table.resource.singular}/{obj['metadata']['name']}" for obj in table.objects]
        output.show(table, current.output, names)


def split(kind: str, name: str | None) -> tuple[str, str | None]:
    """`svc app1` and `svc/app1` are the same."""
    if "/" not in kind:
        return kind, name
    if name:
        raise errors.UsageError(f"{kind} names an object, and {name} another", hint="give one")
    kind, _, name = kind.partition("/")
    return kind, name
