"""`labkit predict`."""

from __future__ import annotations

import click

from labkit.cli import options, output, requests, session
from labkit.inspection.predict import asking


@click.command()
@options.shared("table", "json", "yaml")
@requests.options_of
@click.option("--why", is_flag=True, help="Each rule that does not take it, and why not.")
@click.pass_obj
def command(
    current: session.Session,
    request: asking.Request,
    *,
    why: bool,
) -> None:
    """Say from the rules alone where a request to a Service would go. Nothing is sent.

    \b
      labkit predict app1
      labkit predict app1 --from pod/a --via cluster-ip
      labkit predict app1 --from client --node node2
      labkit predict app1 --why
    """
    with current.lab() as lab:
        found = lab.predict(request, why=why)
    output.show(found, current.output)
