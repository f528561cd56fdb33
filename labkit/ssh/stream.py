"""A command that goes on: what it prints is read line by line while it runs.

Nobody tells a program on a machine that its reader has gone: without a terminal, sshd only closes
its pipes. So what is streamed watches its stdin, which ends when the stream is told to end, and
ends then itself.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from labkit.ssh import session, wire

if TYPE_CHECKING:
    import paramiko

#: How long the program has to end by itself when its stdin has ended.
PATIENCE_S = 5.0


class Stream(Protocol):
    """A program that goes on, wherever it runs. One thread reads; any may tell it to end."""

    def lines(self) -> Iterator[str]:
        """Each line without its end, until the program ends or the connection breaks."""
        ...

    def say(self, line: str) -> None:
        """Write a line to its stdin. Raises Broken."""
        ...

    def end(self) -> None:
        """End its stdin, and so the program."""
        ...

    def close(self) -> session.Outcome:
        """End it; how it ended, and what it complained of. Raises Broken, Expired."""
        ...


class Remote:
    """One on another machine, on a channel of its own."""

    def __init__(self, transport: paramiko.Transport, argv: Sequence[str]) -> None:
        try:
            self._channel = transport.open_session()
            self._channel.exec_command(shlex.join(argv))
        except wire.TROUBLE as error:
            raise session.Broken(str(error)) from error

    def lines(self) -> Iterator[str]:
        with self._channel.makefile("r") as said:
            for line in said:
                yield str(line).rstrip("\n")

    def say(self, line: str) -> None:
        try:
            self._channel.sendall(f"{line}\n".encode())
        except wire.TROUBLE as error:
            raise session.Broken(str(error)) from error

    def end(self) -> None:
        with contextlib.suppress(*wire.TROUBLE):
            self._channel.shutdown_write()

    def close(self) -> session.Outcome:
        self.end()
        ended = self._channel.status_event.wait(PATIENCE_S)
        complaint = self._channel.makefile_stderr("rb").read() if ended else b""
        with contextlib.suppress(*wire.TROUBLE):
            self._channel.close()
        if not ended:
            raise session.Expired
        status = self._channel.recv_exit_status()
        if status == session.SIGNALLED and session.is_dead(self._channel.get_transport()):
            raise session.Broken("it ended with the connection")
        return session.Outcome(status, b"", complaint)


class Here:
    """One on this machine itself."""

    def __init__(self, argv: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        except OSError as error:
            raise session.Broken(f"{argv[0]}: {error.strerror}") from error

    def lines(self) -> Iterator[str]:
        assert self._process.stdout
        for line in self._process.stdout:
            yield line.rstrip("\n")

    def say(self, line: str) -> None:
        try:
            if self._process.stdin:
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()
        except OSError as error:
            raise session.Broken(str(error)) from error

    def end(self) -> None:
        stdin, self._process.stdin = self._process.stdin, None
        if stdin:
            with contextlib.suppress(OSError):
                stdin.close()

    def close(self) -> session.Outcome:
        self.end()
        try:
            _, complaint = self._process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.communicate()
            raise session.Expired from error
        return session.Outcome(self._process.returncode, b"", complaint.encode())
