"""One node, one SSH connection: opened when first used, kept, shared by every thread.

A handshake costs 20 ms, a command on an open connection 2: so a connection is made once, and what
can be asked in one command is asked in one command. Commands run as root: where the user is
another, by `sudo -n`, which never asks for a password.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import errors
from labkit.model import commands
from labkit.ssh import files
from labkit.ssh.endpoint import Endpoint

if TYPE_CHECKING:
    import paramiko

    from labkit.ssh import stream as streams

#: Half of what sshd allows on a connection (MaxSessions 10): it counts a session that has ended
#: until its main loop comes round, when the next may already have asked to begin.
_SESSIONS = 5


class Connection:
    """Runs commands on one node and records them in `log`."""

    def __init__(self, endpoint: Endpoint, log: commands.CommandLog) -> None:
        self.endpoint = endpoint
        self.log = log
        self._lock = threading.Lock()
        self._sessions = threading.BoundedSemaphore(_SESSIONS)
        self._transport: paramiko.Transport | None = None

    def __repr__(self) -> str:
        return f"Connection({self.endpoint.name})"

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self.endpoint.name

    def connect(self) -> None:
        """Connect now, where the first command would. Raises ConnectionFailed."""
        self._connected()

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes = "",
        timeout_s: float = 30,
        check: bool = True,
        record: bool = True,
    ) -> commands.Command:
        """Run `argv` as root, to its end. Output is kept whole, in memory.

        Raises ConnectionFailed (also when the node goes away meanwhile), TimedOut, and
        CommandFailed for a status other than 0 unless `check` is false. A program that did not end
        in time may go on; nobody listens to it any more.
        """
        begun = time.monotonic()
        status, stdout, stderr = self._exchange(argv, stdin, timeout_s)
        command = commands.Command(
            tuple(argv), status, stdout, stderr, time.monotonic() - begun, self.name
        )
        if record:
            self.log.add(command)
        if check and status:
            raise errors.CommandFailed(_readable(argv), status, stderr, node=self.name)
        return command

    def script(
        self,
        text: str,
        *,
        args: Sequence[str] = (),
        stdin: str | bytes = "",
        timeout_s: float = 30,
        check: bool = True,
        record: bool = True,
    ) -> commands.Command:
        """Run `text` by the node's POSIX sh, as root, with `args` as $1, $2, ..."""
        return self.run(
            ("sh", "-c", text, "sh", *args),
            stdin=stdin,
            timeout_s=timeout_s,
            check=check,
            record=record,
        )

    @contextlib.contextmanager
    def stream(self, argv: Sequence[str]) -> Iterator[streams.Stream]:
        """Run `argv` as root and read it line by line. It must end when its stdin ends.

        Raises ConnectionFailed, TimedOut for one that does not end then, and CommandFailed for one
        that ended with another status than 0.
        """
        from labkit.ssh import session

        begun = time.monotonic()
        with self._sessions:
            try:
                opened = self._open_stream(argv)
                try:
                    yield opened
                finally:
                    done = opened.close()
            except session.Expired as error:
                raise errors.TimedOut(f"`{_short(argv)}` does not end", node=self.name) from error
            except session.Broken as error:
                raise self._broken(argv) from error
        said, took = _text(done.stderr), time.monotonic() - begun
        self.log.add(commands.Command(tuple(argv), done.exit_status, "", said, took, self.name))
        if done.exit_status:
            raise errors.CommandFailed(_readable(argv), done.exit_status, said, node=self.name)

    def put(self, path: str, data: bytes, *, mode: int = 0o644, timeout_s: float = 60) -> None:
        """Make `path` hold `data`. Until all of it is there, what was at `path` stays."""
        args = (path, f"{mode:o}", str(len(data)))
        done = self.script(files.PUT, args=args, stdin=data, timeout_s=timeout_s, check=False)
        if done.exit_status:
            raise files.explain_failure(self.name, path, done)

    @classmethod
    def meet(
        cls, where: Endpoint, private_keys: Iterable[Path], log: commands.CommandLog
    ) -> Connection:
        """A connection to a machine that nobody knows yet: see `wire.meet`."""
        from labkit.ssh import wire

        transport, host_key = wire.meet(where, private_keys)
        met = cls(dataclasses.replace(where, host_key=host_key), log)
        met._transport = transport
        return met

    def close(self) -> None:
        """End the connection, and with it what still runs on it in other threads."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _open_stream(self, argv: Sequence[str]) -> streams.Stream:
        from labkit.ssh import stream

        return stream.Remote(self._connected(), self._as_root(argv))

    def _exchange(
        self, argv: Sequence[str], stdin: str | bytes, timeout_s: float
    ) -> tuple[int, str, str]:
        from labkit.ssh import session  # costs 60 ms, which a command that needs no node saves

        data = stdin.encode() if isinstance(stdin, str) else stdin
        with self._sessions:
            try:
                done = session.exchange(
                    self._connected(), self._as_root(argv), data, timeout_s=timeout_s
                )
            except session.Expired as error:
                raise errors.TimedOut(
                    f"`{_short(argv)}` did not end within {timeout_s:g} s", node=self.name
                ) from error
            except session.Broken as error:
                raise self._broken(argv) from error
        return done.exit_status, _text(done.stdout), _text(done.stderr)

    def _broken(self, argv: Sequence[str]) -> errors.ConnectionFailed:
        return errors.ConnectionFailed(
            f"the connection broke while `{_short(argv)}` ran",
            hint="`labkit status` says which nodes run; `labkit up` mends the lab",
            node=self.name,
        )

    def _as_root(self, argv: Sequence[str]) -> Sequence[str]:
        return argv if self.endpoint.user == "root" else ("sudo", "-n", "--", *argv)

    def _connected(self) -> paramiko.Transport:
        from labkit.ssh import wire

        with self._lock:
            if self._transport is None or not self._transport.is_active():
                self._transport = wire.connect(self.endpoint)
            return self._transport


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _readable(argv: Sequence[str]) -> Sequence[str]:
    """The words of a command, or where one is a whole script, how the command begins."""
    return argv if "\n" not in "".join(argv) else (_short(argv),)


def _short(argv: Sequence[str]) -> str:
    """A command in a message: its first line, and not all of that."""
    line = " ".join(argv)
    first = line.partition("\n")[0]
    return first if line == first and len(first) <= 80 else first[:80] + " ..."
