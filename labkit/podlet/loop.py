"""One thread that does everything in turn: what became readable, what is due, what was posted.

Other threads (the watches, a slow probe) never touch the podlet's state: they post a call, and the
loop makes it. So nothing here needs a lock.
"""

from __future__ import annotations

import collections
import os
import select
import time
from collections.abc import Callable, Hashable

Call = Callable[[], None]


class Loop:
    """`post` and `stop` may be called from any thread, and from signal handlers; nothing else."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._poll = select.epoll()
        self._readable: dict[int, Call] = {}
        self._timers: dict[Hashable, tuple[float, Call]] = {}
        self._posted: collections.deque[Call] = collections.deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._bell, select.EPOLLIN)
        self._stopping = False

    def now(self) -> float:
        """Seconds since 1970: these times are kept beyond a restart, and shown."""
        return self._clock()

    def post(self, call: Call) -> None:
        self._posted.append(call)
        os.eventfd_write(self._bell, 1)

    def stop(self) -> None:
        self.post(self._stop)

    def when_readable(self, fd: int, call: Call) -> None:
        self._readable[fd] = call
        self._poll.register(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        del self._readable[fd]
        self._poll.unregister(fd)

    def at(self, key: Hashable, when: float | None, call: Call) -> None:
        """Make the call at `when`. A new time for a key replaces the old, None removes it."""
        if when is None:
            self._timers.pop(key, None)
        else:
            self._timers[key] = (when, call)

    def run(self) -> None:
        while not self._stopping:
            for fd, _ in self._poll.poll(self._pause_s()):
                self._react(fd)
            self._make_due()

    def close(self) -> None:
        self._poll.close()
        os.close(self._bell)

    def _pause_s(self) -> float:
        """Until the next timer, rounded up, so that it is due then; -1 is for ever."""
        if not self._timers:
            return -1
        first = min(when for when, _ in self._timers.values())
        return max(0.0, first - self._clock() + 0.001)

    def _react(self, fd: int) -> None:
        if fd == self._bell:
            os.eventfd_read(self._bell)
            for _ in range(len(self._posted)):
                self._posted.popleft()()
        elif fd in self._readable:
            self._readable[fd]()

    def _make_due(self) -> None:
        now = self._clock()
        due = [key for key, (when, _) in self._timers.items() if when <= now]
        for key in due:
            if key in self._timers:
                self._timers.pop(key)[1]()

    def _stop(self) -> None:
        self._stopping = True
