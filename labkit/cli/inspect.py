"""`labkit inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labkit.cli import complete, options, output, session

if TYPE_CHECKING:
    from labkit.lab import Lab

#: The API server's own Service; a learner who wants it names it.
OWN = ("default", "kubernetes")


@click.command()
@options.shared("table", "json", "yaml")
@options.namespace()
@click.option("--node", shell_complete=complete.nodes, help="Only what this node has.")
@click.argument("service", required=False, shell_complete=complete.services)
@click.pass_obj
def command(
    current: session.Session, service: str | None, namespace: str, node: str | None
) -> None:
    """Show what a Service became: rules with counters, proxy ports, processes, endpoints.

    \b
      labkit inspect app1
      labkit inspect app1 --node node1
      labkit inspect                      every Service there is
      labkit inspect app1 -o json
    """
    with current.lab() as lab:
        names = [split(service, namespace)] if service else find_services(lab)
        found = [lab.inspect(name, namespace=where, node=node) for where, name in names]
    if service:
        output.show(found[0], current.output)
    elif current.output != "table":
        items = (each.to_json() for each in found)
        output.data(output.envelope("service-inspections", items), current.output)
    else:
        click.echo("\n\n".join(repr(each) for each in found), nl=bool(found))
    if not found:
        output.note("there is no Service; `labkit up` applies the example")


def split(service: str, namespace: str) -> tuple[str, str]:
    """Namespace and name of `app1` or `default/app1`."""
    where, _, name = service.rpartition("/")
    return where or namespace, name


def find_services(lab: Lab) -> list[tuple[str, str]]:
    """Every Service of the lab but the API server's own."""
    metas = [obj["metadata"] for obj in lab.get("services", namespace=None).objects]
    names = [(str(meta["namespace"]), str(meta["name"])) for meta in metas]
    return [name for name in names if name != OWN]
