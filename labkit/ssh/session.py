"""One command over SSH: a channel of a connection that other commands share.

A channel carries four streams. Each may stand still until its other end reads, so a command that
writes much to stderr while we read stdout, or to stdout while we still write stdin, would wait
for us as we wait for it. Here nothing waits: the window that we grant is as large as the protocol
allows, so the machine may always write, and what it wrote lies in memory until we look.

After CLOSE nothing may follow on a channel: sshd ends the whole connection if something does. A
program that ends while we still write its stdin would make sshd close first, and our last words
late. So a command's stdin is either empty from the start, or read to its end on the machine.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.ssh import wire

if TYPE_CHECKING:
    import paramiko

#: RFC 4254, 5.1: a window is counted in 32 bits.
_WIDEST_WINDOW = 2**32 - 1
_READ = 2**20
#: What fits into one packet of any server.
_WRITTEN = 32 * 1024
#: The exit status of a program that a signal ended; sshd then sends none.
SIGNALLED = -1
#: Runs "$@" and then reads what it left of its stdin.
_READ_TO_THE_END = '"$@"; status=$?; cat >/dev/null; exit $status'


class Expired(Exception):
    """The time was up; the channel is closed. The program on the machine may still run."""


class Broken(Exception):
    """The connection ended before the program did."""


@dataclass(frozen=True, slots=True)
class Outcome:
    exit_status: int
    stdout: bytes
    stderr: bytes


def exchange(
    transport: paramiko.Transport, argv: Sequence[str], stdin: bytes, *, timeout_s: float
) -> Outcome:
    """Run `argv`, give it `stdin`, wait for its end. Raises Expired, Broken."""
    end = time.monotonic() + timeout_s
    try:
        channel = transport.open_session(window_size=_WIDEST_WINDOW, timeout=timeout_s)
    except wire.TROUBLE as error:
        raise (Expired if "Timeout" in str(error) else Broken)(str(error)) from error
    try:
        return _run(channel, argv, stdin, lambda: max(0.001, end - time.monotonic()))
    except TimeoutError as error:
        raise Expired from error
    except wire.TROUBLE as error:
        raise Broken(str(error)) from error
    finally:
        with contextlib.suppress(*wire.TROUBLE):
            channel.close()


def render_line(argv: Sequence[str], *, has_stdin: bool) -> str:
    """What the login shell is told."""
    if has_stdin:
        return shlex.join(("sh", "-c", _READ_TO_THE_END, "sh", *argv))
    return f"{shlex.join(argv)} </dev/null"


def _run(
    channel: paramiko.Channel, argv: Sequence[str], stdin: bytes, left: Callable[[], float]
) -> Outcome:
    channel.exec_command(render_line(argv, has_stdin=bool(stdin)))
    if stdin:
        _write(channel, stdin, left)
    stdout = _read(channel, channel.recv, left)
    stderr = _read(channel, channel.recv_stderr, left)
    if not channel.status_event.wait(left()):
        raise TimeoutError
    status = channel.recv_exit_status()
    if status == SIGNALLED and is_dead(channel.get_transport()):
        raise EOFError
    return Outcome(status, stdout, stderr)


def _write(channel: paramiko.Channel, stdin: bytes, left: Callable[[], float]) -> None:
    rest = memoryview(stdin)
    while rest:
        channel.settimeout(left())
        sent = channel.send(bytes(rest[:_WRITTEN]))
        if not sent:
            raise EOFError
        rest = rest[sent:]
    channel.shutdown_write()


def _read(
    channel: paramiko.Channel, read: Callable[[int], bytes], left: Callable[[], float]
) -> bytes:
    pieces: list[bytes] = []
    while True:
        channel.settimeout(left())
        piece = read(_READ)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def is_dead(transport: paramiko.Transport) -> bool:
    """Whether the connection has broken."""
    # The thread of a broken connection first wakes us and then says that it is no longer active.
    transport.join(0.05)
    return not transport.is_active()
