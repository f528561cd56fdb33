"""How a command ends when it does not end well.

Every end has a stable id, one line that says what failed and where, one that says what to try, and
an exit status:

    0   done, or already so                    5   not supported or not permitted here
    1   ran, and something failed              6   timed out
    2   wrong usage, or a wrong value          7   conflict: in use, or somebody else works on it
    3   done, with warnings                   10   a fault in labkit itself
    4   nothing matched                      130   interrupted
"""

from __future__ import annotations

import datetime
import errno
import json
import os
import platform
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import labkit
from labkit import errors, local, paths

#: The folder for reports of faults; an underscore cannot be in a lab's name.
REPORTS = "_faults"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

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
            return Failure("LK-INTERRUPTED", "interrupted; the lab is consistent", hint, 130)
        case click.ClickException():
            help_line = f"`labkit {verb} --help`" if verb else "`labkit --help`"
            return Failure("LK-USAGE", error.format_message(), help_line, 2)
        case OSError() if error.errno in NO_SPACE:
            place = error.filename2 or error.filename or paths.state_root()
            what = f"no space is left on the disk for {place}"
            hint = "free some, or set XDG_STATE_HOME to a larger disk; then the same command again"
            return Failure(errors.DiskFull.id, what, hint, errors.DiskFull.exit_code)
        case PermissionError():
            return Failure("LK-NOT-PERMITTED", str(error), "`labkit doctor` looks for the cause", 5)
    return _internal(error)


def _internal(error: BaseException) -> Failure:
    report = _write_report(error)
    hint = f"send {report} with a word on what you did" if report else "--debug shows more"
    what = f"a fault in labkit: {type(error).__name__}: {error}"
    return Failure("LK-INTERNAL", what, hint, 10)


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
