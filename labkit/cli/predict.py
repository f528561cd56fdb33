"""`labkit predict`."""

from __future__ import annotations

import click

from labkit.cli import complete, options, output, session
from labkit.inspection.predict import asking


@click.command()
@options.shared("table", "json", "yaml")
@options.namespace()
@click.option("--from", "sender", default="", metavar="WHO", help="client, node/NAME or pod/NAME.")
@click.option("--via", type=click.Choice(asking.VIAS), default="cluster-ip", show_default=True)
@click.option("--port", default="", help="One port of several, by name or number.")
@click.option("--node", default="", shell_complete=complete.nodes, help="Whose node port.")
@click.option("--why", is_flag=True, help="Each rule that does not take it, and why not.")
@click.argument("service", shell_complete=complete.services)
@click.pass_obj
def command(
    current: session.Session,
    service: str,
    namespace: str,
    sender: str,
    via: str,
    port: str,
    node: str,
    *,
    why: bool,
) -> None:
    """Say from the rules alone where a request to a Service would go. Nothing is sent.

    \b
      labkit predict app1
      labkit predict app1 --from pod/a --via cluster-ip
      labkit predict app1 --from client --via node-port --node node2
      labkit predict app1 --why
    """
    request = asking.Request(service, namespace, sender, via, port, node)
    with current.lab() as lab:
        found = lab.predict(request, why=why)
    output.show(found, current.output)
