"""`labkit version`."""

from __future__ import annotations

import platform

import click

import labkit
from labkit.cli import options, output, session


@click.command()
@options.shared("table", "json", "yaml")
@click.pass_obj
def command(current: session.Session) -> None:
    """Print labkit's version, and with -o json Python's and the kernel's too."""
    if current.output == "table":
        click.echo(f"labkit {labkit.__version__}")
        return
    facts = {
        "schema": "labkit.dev/version",
        "version": 1,
        "labkit": labkit.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
    output.data(facts, current.output)
