"""`labkit trace`."""

from __future__ import annotations

import click

from labkit.cli import complete, options, output, session
from labkit.inspection.predict import asking

#: The request was sent, and had no answer.
_UNANSWERED = 1


@click.command()
@options.shared("table", "json", "yaml")
@options.namespace()
@click.option("--from", "sender", default="", metavar="WHO", help="client, node/NAME or pod/NAME.")
@click.option("--via", type=click.Choice(asking.VIAS), default="cluster-ip", show_default=True)
@click.option("--port", default="", help="One port of several, by name or number.")
@click.option("--node", default="", shell_complete=complete.nodes, help="Whose node port.")
@click.option("--predict", is_flag=True, help="Send nothing: say where the rules would lead it.")
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
    predict: bool,
) -> None:
    """Follow one real request to a Service, hop by hop, over all nodes and through the proxy.

    \b
      labkit trace app1
      labkit trace app1 --from pod/app1-1
      labkit trace app1 --from client --via node-port --node node2
      labkit trace app1 --predict          what the rules say, without sending
    """
    current: session.Session = context.obj
    request = asking.Request(service, namespace, sender, via, port, node)
    with current.lab() as lab:
        if predict:
            output.show(lab.predict(request), current.output)
            return
        found = lab.trace(request)
    output.show(found, current.output)
    if not found.ok:
        context.exit(_UNANSWERED)
