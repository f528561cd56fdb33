"""`labkit probe`."""

from __future__ import annotations

import click

from labkit.cli import options, output, requests, session
from labkit.inspection.predict import asking

#: Requests were sent, and some had no answer.
_UNANSWERED = 1


@click.command()
@options.shared("table", "json", "yaml")
@requests.options_of
@click.option("--count", default=1, show_default=True, help="So many requests, one by one.")
@click.pass_context
def command(
    context: click.Context,
    request: asking.Request,
    count: int,
) -> None:
    """Send real requests to a Service, and show which rules moved and who answered.

    \b
      labkit probe app1
      labkit probe app1 --from pod/app1-1 --count 6
      labkit probe app1 --from client --node node2
    """
    current: session.Session = context.obj
    with current.lab() as lab:
        found = lab.probe(request, count=count)
    output.show(found, current.output)
    if not found.ok:
        context.exit(_UNANSWERED)
