"""`labkit bundle`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from labkit import errors
from labkit.boxes import catalogue, store
from labkit.bundles import pack
from labkit.cli import options, output, progress, session
from labkit.model import events


@click.command()
@options.shared("table", "json", "yaml", progress=True)
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--provider", "providers", multiple=True, metavar="NAME",
              help="Whose boxes; by default the newest of each kind that is kept.")  # fmt: skip
@click.option("--notebooks/--no-notebooks", default=True, help="With Jupyter's wheels.")
@click.pass_obj
def command(
    current: session.Session, target: Path, providers: tuple[str, ...], notebooks: bool
) -> None:
    """Pack boxes, wheels and notebooks for a room without internet: one file (.tar), or a folder.

    \b
      labkit bundle workshop.tar
      labkit bundle /media/stick/labkit --provider libvirt

    There: `sh install.sh`, then `labkit up --bundle FILE`.
    """
    boxes = choose(providers)
    with progress.watch(current.events, sys.stderr) as observer:
        counted = events.Progress(observer, total=pack.STEPS)
        made = pack.pack(target, boxes, counted, extra="notebook" if notebooks else "")
    if current.output in ("json", "yaml"):
        output.data(made.to_json(), current.output)
        return
    kinds = ", ".join(box.provider for box in boxes) or "no"
    wheels = len(made.under("wheels"))
    output.lines([f"{target}: {made.size / 1e6:.0f} MB, {kinds} boxes, {wheels} wheels"])


def choose(providers: tuple[str, ...]) -> list[catalogue.Box]:
    """The newest box of each kind wanted. Raises NothingMatched where there is none."""
    here = store.boxes()
    kinds = providers or tuple(dict.fromkeys(box.provider for box in here))
    found = {kind: catalogue.find(here, kind, store.architecture()) for kind in kinds}
    for kind, box in found.items():
        if box is None:
            raise errors.NothingMatched(
                f"there is no {kind} box", hint=f"labkit box build --provider {kind}"
            )
    return [box for box in found.values() if box]
