"""Commands on the learner's own machine: run, recorded, translated when they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence

from labkit import errors
from labkit.model import commands

#: Where Debian puts the programs that mostly root runs; an ordinary user's PATH does not name it.
SBIN = "/usr/sbin:/sbin"

#: Every command that this process ran on the learner's machine, for all labs.
log = commands.CommandLog()


def run(
    argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60, check: bool = True
) -> commands.Command:
    """Run `argv` to its end and record it.

    Raises NotSupported when the program is not installed, TimedOut, and CommandFailed for a status
    other than 0 unless `check` is false.
    """
    begun = time.monotonic()
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=os.environ | {"PATH": f"{os.environ.get('PATH', os.defpath)}:{SBIN}"},
        )
    except FileNotFoundError as error:
        raise errors.NotSupported(
            f"the program {argv[0]!r} is not installed", hint="`labkit doctor` says how to get it"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise errors.TimedOut(f"`{' '.join(argv)}` did not end within {timeout_s:g} s") from error
    command = commands.Command(
        tuple(argv), done.returncode, done.stdout, done.stderr, time.monotonic() - begun
    )
    log.add(command)
    if check and done.returncode:
        raise errors.CommandFailed(argv, done.returncode, done.stderr)
    return command


def has(program: str) -> bool:
    """True when `run` would find `program`."""
    return bool(shutil.which(program) or shutil.which(program, path=SBIN))
