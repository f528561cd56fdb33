"""`labkit probe`."""

from __future__ import annotations

import click

from labkit.cli import complete, options, output, session
from labkit.inspection.predict import asking

#: Requests were sent, and some had no answer.
_UNANSWERED = 1


@click.command()
@options.shared("table", "json", "yaml")
@options.namespace()
@click.option("--from", "sender", default="", metavar="WHO", help="client, node/NAME or pod/NAME.")
@click.option("--via", type=click.Choice(asking.VIAS), default="cluster-ip", show_default=True)
@click.option("--port", default="", help="One port of several, by name or number.")
@click.option("--node", default="", shell_complete=complete.nodes, help="Whose node port.")
@click.option("--count", default=1, show_default=True, help="So many requests, one by one.")
@click.argument("service", shell_complete=complete.services)
@click.pass_context
def command(
    context: click.Context,
    service: str,
    namespace: str,
    sender: str,
    via: str,
    port: str,
    node: str,
    count: int,
) -> None:
    """Send real requests to a Service, and show which rules moved and who answered.

    \b
      labkit probe app1
      labkit probe app1 --from pod/app1-1 --count 6
      labkit probe app1 --from client --via node-port --node node2
    """
    current: session.Session = context.obj
    request = asking.Request(service, namespace, sender, via, port, node)
    with current.lab() as lab:
        found = lab.probe(request, count=count)
    output.show(found, current.output)
    if not found.ok:
        context.exit(_UNANSWERED)
