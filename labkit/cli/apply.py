"""`labkit apply`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit import errors
from labkit.cli import options, output, session

if TYPE_CHECKING:
    from labkit.lab.reports import Applied

#: What counts as a manifest in a folder, as with kubectl.
SUFFIXES = (".yaml", ".yml", ".json")


@click.command()
@options.shared(*options.FORMATS)
@click.option(
    "-f",
    "--filename",
    "names",
    multiple=True,
    required=True,
    type=click.Path(exists=True, allow_dash=True),
    help="A file, a folder (its .yaml, .yml and .json files), or - for stdin. Repeatable.",
)
@click.pass_obj
def command(current: session.Session, names: tuple[str, ...]) -> None:
    """Create the objects of a manifest, or change them to what it says.

    \b
      labkit apply -f service.yaml
      labkit apply -f manifests/ -f more.yaml
      cat service.yaml | labkit apply -f -
    """
    done: list[Applied] = []
    try:
        with current.lab() as lab:
            for manifest in list(find_manifests(names)):
                done += lab.apply(manifest)
    finally:
        show(done, current.output)  # what was applied before a failure stays applied


def find_manifests(names: Iterable[str]) -> Iterator[Path | str]:
    """Files as paths, stdin as its text; a folder is its files in the order of their names."""
    for name in names:
        if name == "-":
            yield sys.stdin.read()
        elif Path(name).is_dir():
            files = sorted(file for file in Path(name).iterdir() if file.suffix in SUFFIXES)
            if not files:
                hint = f"a manifest's name ends in {', '.join(SUFFIXES)}"
                raise errors.UsageError(f"the folder {name} holds no manifest", hint=hint)
            yield from files
        else:
            yield Path(name)


def show(done: Sequence[Applied], form: str) -> None:
    """One line for each object, as kubectl prints it."""
    if form in ("json", "yaml"):
        items = [
            {"kind": each.resource.kind, "name": each.name, "action": each.action} for each in done
        ]
        output.data(output.envelope("applied", items), form)
    elif form == "name":
        output.lines(f"{each.resource.singular}/{each.name}" for each in done)
    else:
        output.lines(repr(each) for each in done)
