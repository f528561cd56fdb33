"""`labkit ls`."""

from __future__ import annotations

import click

from labkit.cli import options, output, session
from labkit.display import table

COLUMNS = ("name", "state", "nodes", "provider", "since", "path")


@click.command()
@options.shared(*options.FORMATS)
@click.pass_obj
def command(current: session.Session) -> None:
    """List every lab of yours on this machine, whatever folder you are in.

    \b
      labkit ls
      labkit ls -o name
    """
    labs = [lab for lab in current.world.list_labs() if current.name in (None, lab.name)]
    if current.output in ("json", "yaml"):
        output.data(output.envelope("labs", (lab.to_json() for lab in labs)), current.output)
    elif current.output == "name":
        output.lines(lab.name for lab in labs)
    elif labs:
        rows = [[getattr(lab, column) for column in COLUMNS] for lab in labs]
        click.echo(table.render_table(COLUMNS, rows))
    else:
        output.note("there is no lab; `labkit up` makes one")
