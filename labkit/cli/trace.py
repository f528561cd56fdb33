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
@click.option("--why", is_flag=True, help="Each rule that did not take it, and why not.")
@click.option("--predict", is_flag=True, help="Send nothing: say where the rules would lead it.")
@click.pass_context
def command(
    context: click.Context,
    request: asking.Request,
    *,
    why: bool,
    predict: bool,
) -> None:
    """Follow one real request to a Service, hop by hop, over all nodes and through the proxy.

    \b
      labkit trace app1
      labkit trace app1 --from pod/app1-1
      labkit trace app1 --from client --node node2
      labkit trace app1 --why              the rules that said no, too; always if it fails
      labkit trace app1 --predict          what the rules say, without sending
    """
    current: session.Session = context.obj
    with current.lab() as lab:
        if predict:
            output.show(lab.predict(request, why=why), current.output)
            return
        found = lab.trace(request, why=why)
    output.show(found, current.output)
    if not found.ok:
        context.exit(_UNANSWERED)
