"""python-vagrant, with a Ctrl-C that Vagrant survives.

A terminal sends Ctrl-C to every program that it started, and Python kills a child that has not
ended a quarter of a second later. Vagrant needs longer: it first takes away what it has half made,
and notes what is whole. Killed before that, it leaves a machine which its provider has and Vagrant
does not know, and the next `up` fails at it. So Vagrant runs in a session of its own, which no
terminal interrupts; it is told once, and waited for. A second Ctrl-C ends it as it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import vagrant

from labkit import system

#: What Vagrant may take to end after the second Ctrl-C, which makes it leave all as it is.
GIVE_UP_S = 5.0


class Driver(vagrant.Vagrant):
    """Vagrant in one folder. `interrupted` is called when it was told to end, and is waited for."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], interrupted: Callable[[], None]
    ) -> None:
        base: Any = super()  # it is not annotated
        base.__init__(str(folder), env=dict(environment))
        self._log = folder / "log"
        self._interrupted = interrupted

    def _call_vagrant_command(self, args: Sequence[str]) -> None:
        with self._log.open("a") as log:
            self._run_to_the_end(args, log, log)

    def _run_vagrant_command(self, args: Sequence[str]) -> str:
        with self._log.open("a") as log:
            return self._run_to_the_end(args, subprocess.PIPE, log)

    def _run_to_the_end(self, args: Sequence[str], stdout: int | IO[str], log: IO[str]) -> str:
        base: Any = super()
        argv = base._make_vagrant_command(args)
        usual: dict[str, Any] = {"cwd": self.root, "env": self.env, "text": True}
        with subprocess.Popen(
            argv, stdout=stdout, stderr=log, start_new_session=True, **usual
        ) as process:
            try:
                said, _ = process.communicate()
            except KeyboardInterrupt as error:
                error.add_note(self._end(process))
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, argv, said)
        return said or ""

    def _end(self, process: subprocess.Popen[str]) -> str:
        """Let it put its machines in order; who interrupts that, too, does not wait any longer."""
        try:
            self._interrupted()
            _interrupt(process)
            process.communicate()
        except KeyboardInterrupt:
            _interrupt(process)
            _wait_or_kill(process)
            return "Vagrant was ended at once: a machine may be half made"
        return "Vagrant has ended in good order: no machine is half made"


def _interrupt(process: subprocess.Popen[str]) -> None:
    """As a terminal would: all of its session. On Windows the console has told it already."""
    if not system.is_windows() and process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)


def _wait_or_kill(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=GIVE_UP_S)
    except subprocess.TimeoutExpired:
        process.kill()
