"""Reading a log that grows, and knowing when it has ended.

Two events are awaited, never a clock. The kernel tells of a write in the log's folder by SIGIO:
that is dnotify, the elder of its two ways, which the standard library can speak (fcntl.F_NOTIFY).
And the loop tells when a container has ended. Both ring the bell that all followers hear.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import select
import socket
import threading
from collections.abc import Generator, Iterator
from typing import BinaryIO

from labkit.podlet import logs, state

#: A program that writes without pause is read so often, not once for every write.
_PACE_MS = 20
#: Where the kernel was built without dnotify, growth can only be looked for.
_LOOK_MS = 250


class Bell:
    """Wakes every follower. `ring` is for the loop's thread; followers have their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard_by: set[int] = set()

    def ring(self) -> None:
        with self._lock:
            for fd in self._heard_by:
                os.eventfd_write(fd, 1)

    @contextlib.contextmanager
    def heard(self) -> Iterator[int]:
        """A file descriptor that is readable once the bell has rung."""
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        with self._lock:
            self._heard_by.add(fd)
        try:
            yield fd
        finally:
            with self._lock:
                self._heard_by.remove(fd)
            os.close(fd)


def follow(
    file: BinaryIO, folder: pathlib.Path, run: state.Run, bell: Bell, peer: socket.socket
) -> Generator[bytes]:
    """Everything from here on, until the run is over or `peer` hangs up: it has nothing to say."""
    watched = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with bell.heard() as heard:
            poll = select.poll()
            poll.register(heard, select.POLLIN)
            poll.register(peer, select.POLLIN)
            while True:
                # Both before reading: what happens after them is told, or belongs to the next turn.
                patience_ms = _ask_to_be_told(watched)
                is_last = not state.is_alive(run)
                yield from logs.read_on(file)
                if is_last or _has_left(poll.poll(patience_ms), heard):
                    return
                if _has_left(_gather(peer), heard):
                    return
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(heard)
    finally:
        os.close(watched)


def _ask_to_be_told(folder: int) -> int:
    """Ask for a signal at the next write, once; return for how long to wait for it."""
    try:
        # To the process: else this thread would get it, and only the main thread can act on it.
        fcntl.fcntl(folder, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_MODIFY)
    except OSError:
        return _LOOK_MS
    return -1


def _gather(peer: socket.socket) -> list[tuple[int, int]]:
    """Let a little more be written, unless `peer` leaves meanwhile."""
    poll = select.poll()
    poll.register(peer, select.POLLIN)
    return poll.poll(_PACE_MS)


def _has_left(ready: list[tuple[int, int]], heard: int) -> bool:
    return any(fd != heard for fd, _ in ready)
