"""`labkit trace`."""

from __future__ import annotations

import click

from labkit.cli import options, output, requests, session
from labkit.inspection.predict import asking

#: The request was sent, and had no answer.
_UNANSWERED = 1


@click.command()
@options.shared("table", "json", "yaml")
@requests.options_of
@click.option("--predict", is_flag=True, help="Send nothing: say where the rules would lead it.")
@click.pass_context
def command(
    context: click.Context,
    request: asking.Request,
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
    with current.lab() as lab:
        if predict:
            output.show(lab.predict(request), current.output)
            return
        found = lab.trace(request)
    output.show(found, current.output)
    if not found.ok:
        context.exit(_UNANSWERED)
