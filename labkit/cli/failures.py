"""How a command ends when it does not end well.

Every end has a stable id, one line that says what failed and where, one that says what to try, and
an exit status: STATUSES says what each means.
"""

from __future__ import annotations

import datetime
import errno
import json
import os
import platform
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import labkit
from labkit import errors, local, paths

#: The folder for reports of faults; an underscore cannot be in a lab's name.
REPORTS = "_faults"
STATUSES = {
    0: "done, or already so",
    1: "ran, and something failed",
    2: "wrong usage, or a wrong value",
    3: "done, with warnings",
    4: "nothing matched: no such lab, node, object",
    5: "not supported or not permitted here",
    6: "timed out; the message says what was awaited",
    7: "conflict: taken, or somebody else works on it",
    10: "a fault in labkit; the message names the report",
    130: "interrupted; the lab is consistent, the message says what to type next",
}
#: What only a command can end with, besides the errors of `labkit.errors`.
NOT_PERMITTED, INTERNAL, INTERRUPTED = "LK-NOT-PERMITTED", "LK-INTERNAL", "LK-INTERRUPTED"
OWN_IDS = {NOT_PERMITTED: 5, INTERNAL: 10, INTERRUPTED: 130}

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

_USAGE = errors.UsageError
#: What to type after Ctrl-C. Both verbs first mend what the last one left.
AFTER_INTERRUPT = {
    "up": "`labkit up` goes on from here, `labkit down` ends the lab",
    "down": "`labkit down` goes on from here",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One bad end, ready to be said."""

    id: str
    message: str
    hint: str
    exit_status: int
    node: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "labkit.dev/error",
            "version": 1,
            "id": self.id,
            "message": self.message,
            "hint": self.hint,
            "node": self.node,
            "notes": list(self.notes),
            "exit_status": self.exit_status,
        }

    def __str__(self) -> str:
        where = f"{self.node}: " if self.node else ""
        lines = [f"{self.id} {where}{self.message}", *self.notes]
        return "\n".join([*lines, f"try: {self.hint}"] if self.hint else lines)


def explain(error: BaseException, verb: str) -> Failure:
    """Say what a raised error means for the person who typed `labkit VERB`."""
    notes = tuple(getattr(error, "__notes__", ()))
    match error:
        case errors.LabkitError():
            return Failure(error.id, error.message, error.hint, error.exit_code, error.node, notes)
        case click.exceptions.Abort() | KeyboardInterrupt():
            hint = AFTER_INTERRUPT.get(verb, "`labkit status` shows the lab")
            said = tuple(getattr(error.__cause__ or error, "__notes__", ()))
            return _own(INTERRUPTED, "interrupted; the lab is consistent", hint, notes=said)
        case click.ClickException():
            help_line = f"`labkit {verb} --help`" if verb else "`labkit --help`"
            return Failure(_USAGE.id, error.format_message(), help_line, _USAGE.exit_code)
        case OSError() if error.errno in NO_SPACE:
            place = error.filename2 or error.filename or paths.state_root()
            what = f"no space is left on the disk for {place}"
            hint = "free some, or set XDG_STATE_HOME to a larger disk; then the same command again"
            return Failure(errors.DiskFull.id, what, hint, errors.DiskFull.exit_code)
        case PermissionError():
            return _own(NOT_PERMITTED, str(error), "`labkit doctor` looks for the cause")
    return _internal(error)


def _own(id_: str, message: str, hint: str, notes: tuple[str, ...] = ()) -> Failure:
    return Failure(id_, message, hint, OWN_IDS[id_], notes=notes)


def _internal(error: BaseException) -> Failure:
    report = _write_report(error)
    hint = f"send {report} with a word on what you did" if report else "--debug shows more"
    what = f"a fault in labkit: {type(error).__name__}: {error}"
    return _own(INTERNAL, what, hint)


def ids() -> Iterator[tuple[str, int]]:
    """Every id, with the status that a command ends with."""
    yield from _ids(errors.LabkitError)
    yield from OWN_IDS.items()


def _ids(kind: type[errors.LabkitError]) -> Iterator[tuple[str, int]]:
    yield kind.id, kind.exit_code
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from _ids(each)


def say(failure: Failure, *, output: str, events: str) -> None:
    """Print to stderr: as JSON where results are JSON too, on one line where events are."""
    if events == "json":
        click.echo(json.dumps(failure.to_json()), err=True)
    elif output == "json":
        click.echo(json.dumps(failure.to_json(), indent=2), err=True)
    else:
        click.echo(str(failure), err=True)


def _write_report(error: BaseException) -> Path | None:
    """Keep what is needed to find the fault; None where nothing can be written."""
    now = datetime.datetime.now(datetime.UTC)
    path = paths.state_root() / REPORTS / f"{now:%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
    lines = [
        f"labkit {labkit.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"typed: {sys.argv!r}",
        "",
        "".join(traceback.format_exception(error)),
        "commands on this machine:",
        *(command.line for command in local.log),
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text("\n".join(lines) + "\n")
    except OSError:
        return None
    return path
