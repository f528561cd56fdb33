"""The commands as data, read from click: what a reference lists, and nobody has to keep up."""

from __future__ import annotations

from collections.abc import Iterator

import click

from labkit.cli import app, failures
from labkit.lessons import reference


def verbs() -> Iterator[reference.Verb]:
    """Every verb, by subject, with its arguments and the options that are its own."""
    context = click.Context(app.labkit)
    for heading, summaries in app.VERBS.items():
        for verb, summary in summaries.items():
            command = app.labkit.get_command(context, verb)
            assert command is not None
            yield reference.Verb(heading, _usage(verb, command), summary, tuple(_options(command)))


def exits() -> Iterator[reference.Exit]:
    """Every exit status, with the ids of the errors that end with it."""
    for status, meaning in failures.STATUSES.items():
        ids = tuple(name for name, each in failures.ids() if each == status)
        yield reference.Exit(status, meaning, ids)


def _usage(verb: str, command: click.Command) -> str:
    """`get KIND [NAME]`. A verb with verbs of its own names them."""
    pieces = command.collect_usage_pieces(click.Context(command))
    if isinstance(command, click.Group):
        return f"{verb} {{{'|'.join(command.commands)}}}"
    return " ".join([verb, *(piece for piece in pieces if piece != "[OPTIONS]")])


def _options(command: click.Command) -> Iterator[str]:
    """Its own: what verbs share goes into the session, and is no value of the verb."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.expose_value and not parameter.hidden:
            yield max(parameter.opts, key=len)
