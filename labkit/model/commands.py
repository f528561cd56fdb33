"""The record of every command that labkit ran, so that a learner can run it again by hand."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from dataclasses import dataclass

#: How many commands a log keeps. A session of a lesson runs some hundreds.
KEPT = 2000


@dataclass(frozen=True, slots=True)
class Command:
    """A program that ran to its end. `node` is empty for the learner's own machine."""

    argv: tuple[str, ...]
    exit_status: int = 0
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    node: str = ""

    @property
    def line(self) -> str:
        """The command as one would type it, on the learner's own machine."""
        typed = shlex.join(self.argv)
        return f"labkit exec {self.node} -- {typed}" if self.node else typed


class CommandLog:
    """The last commands, oldest first. Any thread may add."""

    def __init__(self) -> None:
        self._commands: list[Command] = []
        self._lock = threading.Lock()

    def add(self, command: Command) -> None:
        with self._lock:
            self._commands.append(command)
            del self._commands[:-KEPT]

    def __iter__(self) -> Iterator[Command]:
        with self._lock:
            return iter(tuple(self._commands))

    def __len__(self) -> int:
        return len(self._commands)

    def __repr__(self) -> str:
        return "\n".join(command.line for command in self) or "no command has run yet"
