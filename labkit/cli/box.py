"""`labkit box`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from labkit import errors
from labkit.boxes import build, catalogue, recipe, store, tools
from labkit.cli import options, output, progress, session
from labkit.display import table
from labkit.model import events
from labkit.preflight import packages


@click.group()
@options.shared()
def command() -> None:
    """Make and keep boxes: the disks that Vagrant's machines start from.

    \b
      labkit box build
      labkit box list
      labkit box add labkit-node_20261124.23000_libvirt_amd64_0123456789abcdef.box
    """


@command.command("build")
@options.shared("table", "json", "yaml", "name", yes=True, progress=True)
@click.option("--provider", default="libvirt", show_default=True, metavar="NAME",
              help=f"One of {', '.join(recipe.PROVIDERS)}.")  # fmt: skip
@click.option("--arch", default=None, metavar="NAME", help="By default this machine's.")
@click.option("--mirror", default="", metavar="URL", help="Where Debian's packages come from.")
@click.option("--anew", is_flag=True, help="Build it again where the same one is there.")
@click.pass_obj
def build_(
    current: session.Session, provider: str, arch: str | None, mirror: str, anew: bool
) -> None:
    """Build a box from Debian's packages; as root, and in a minute or two.

    \b
      sudo -E labkit box build
      sudo -E labkit box build --provider virtualbox --yes
    """
    what = recipe.plan(provider, arch or store.architecture())
    if what.architecture != store.architecture():
        raise errors.NotSupported(
            f"a box for {what.architecture} cannot be built on {store.architecture()}",
            hint=f"build it on a machine that is {what.architecture}, and `labkit box add` it here",
        )
    if anew or not store.find(what):
        if missing := tools.plan_missing(what):
            packages.install(missing, current.agrees)
        with progress.watch(current.events, sys.stderr) as observer:
            counted = events.Progress(observer, total=build.STEPS)
            store.ensure(what, counted, anew=anew, mirror=mirror)
    show(current, [box for box in [store.find(what)] if box])


@command.command("list")
@options.shared("table", "json", "yaml", "name")
@click.pass_obj
def list_(current: session.Session) -> None:
    """Show every box that is kept here, the newest first."""
    show(current, store.boxes())


@command.command("add")
@options.shared("table", "json", "yaml", "name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def add(current: session.Session, files: tuple[Path, ...]) -> None:
    """Keep boxes that were built elsewhere, whole ones only."""
    show(current, [store.add(file) for file in files])


@command.command("rm")
@options.shared("table", "name")
@click.argument("versions", nargs=-1, required=True, metavar="VERSION...")
@click.pass_obj
def rm(current: session.Session, versions: tuple[str, ...]) -> None:
    """Forget boxes, by version or file, here and in Vagrant."""
    here = store.boxes()
    for version in versions:
        found = [box for box in here if version in (box.version, box.file)]
        if not found:
            raise errors.NothingMatched(
                f"there is no box {version!r}", hint="`labkit box list` shows them"
            )
        for box in found:
            store.take_from_vagrant(box)
            store.remove(box)
            ended = "" if current.output == "name" else " removed"
            output.lines([f"{box.file}{ended}"])


def show(current: session.Session, boxes: Sequence[catalogue.Box]) -> None:
    """Boxes in the form of -o; the path is what `name` prints."""
    if current.output in ("json", "yaml"):
        output.data(output.envelope("boxes", (box.to_json() for box in boxes)), current.output)
    elif current.output == "name":
        output.lines(str(store.folder() / box.file) for box in boxes)
    elif boxes:
        click.echo(render(boxes))
    else:
        output.note("there is no box; `labkit box build` makes one")


def render(boxes: Sequence[catalogue.Box]) -> str:
    """The table that people see."""
    rows = [
        (box.version, box.provider, box.architecture, f"{box.size / 1e6:.0f} MB", box.digest)
        for box in boxes
    ]
    return table.render_table(("version", "provider", "arch", "size", "recipe"), rows)
