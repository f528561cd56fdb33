"""`labkit down`."""

from __future__ import annotations

import sys

import click

from labkit import errors
from labkit.cli import options, output, progress, session


@click.command()
@options.shared("table", "json", "yaml", yes=True, progress=True)
@click.option("--purge", is_flag=True, help="Forget the lab's state too: objects, keys, files.")
@click.pass_obj
def command(current: session.Session, purge: bool) -> int:
    """End everything that runs. The lab's state is kept, so that `up` goes on with it.

    \b
      labkit down
      labkit down --purge --yes

    Works after any crash; with nothing running it says so and is content.
    """
    with current.lab() as lab:
        if purge:
            _ask(current, lab.spec.name, str(lab.paths.state))
        with progress.watch(current.events, sys.stderr) as observer:
            report = lab.down(purge=purge, observer=observer)
    output.show(report, current.output)
    return 3 if report.left else 0  # something of the lab is still on the API server it was given


def _ask(current: session.Session, name: str, folder: str) -> None:
    question = f"Lab {name} will be forgotten: its objects, its keys, its nodes' files ({folder})."
    if not current.agrees(question):
        raise errors.UsageError(f"lab {name} is kept: nobody agreed", hint="--yes agrees")
