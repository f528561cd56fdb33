"""Results, on stdout, and on nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

import click


class Showable(Protocol):
    """A value that shows itself as text, and turns into plain data."""

    def to_json(self) -> dict[str, Any]: ...


def show(value: Showable, form: str, names: Iterable[str] = ()) -> None:
    """Print a value in the format that -o asked for; `names` is what `-o name` prints."""
    if form in ("json", "yaml"):
        data(value.to_json(), form)
    elif form == "name":
        lines(names)
    else:
        click.echo(repr(value))


def lines(texts: Iterable[str]) -> None:
    """Print one line each; nothing for nothing."""
    click.echo("".join(f"{text}\n" for text in texts), nl=False)


def data(value: Any, form: str) -> None:
    """Print plain data as JSON or YAML."""
    if form == "json":
        click.echo(json.dumps(value, indent=2))
        return
    import yaml

    click.echo(yaml.safe_dump(value, sort_keys=False), nl=False)


def envelope(schema: str, items: Iterable[Any]) -> dict[str, Any]:
    """Many values as data that says what it is. Fields are only ever added."""
    return {"schema": f"labkit.dev/{schema}", "version": 1, "items": list(items)}


def note(text: str) -> None:
    """Say something to the person, not to the pipe."""
    click.echo(text, err=True)
