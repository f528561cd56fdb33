"""One thread that waits for everything: sockets, timers, and what other threads bring.

The kernel's epoll says which sockets can be read or written without waiting. Each has a callback,
which does what is possible *now* and returns; nobody blocks, so one thread serves thousands of
connections. Two rules:

* Only `post` may be called from another thread; its function then runs on the loop's.
* Work that cannot help blocking (running iptables) goes `aside`, to a thread for it alone.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Callback = Callable[[int], object]

#: Wake me when it becomes readable, writable, or its other end has no more to say - each time that
#: happens, not as long as it lasts: so there is no need to say when one would rather not hear it.
EDGES = select.EPOLLIN | select.EPOLLPRI | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
#: The same without "writable", which a socket is from the beginning: that would be told at once.
READ_EDGES = EDGES & ~select.EPOLLOUT


class Timer:
    """Something to do at a time. A cancelled one is passed over when it comes up."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """The agent's one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        #: Those added in this round: what the kernel said before is about a namesake, closed since.
        self._fresh: set[int] = set()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._soon: collections.deque[Callable[[], None]] = collections.deque()
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._running = False
        self._signals = (-1, -1)
        self.add(self._bell, select.EPOLLIN, self._answer_bell)

    def add(self, fd: int, events: int, callback: Callback) -> None:
        """Call `callback` with what happened whenever one of `events` happens to `fd`."""
        self._callbacks[fd] = callback
        self._fresh.add(fd)
        self._epoll.register(fd, events)

    def replace(self, fd: int, callback: Callback) -> None:
        """Hand a descriptor that is already watched to somebody else."""
        self._callbacks[fd] = callback

    def change(self, fd: int, events: int) -> None:
        """Ask for other `events`. What has happened before is told once more."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forget a descriptor. To be called before it is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def forget(self, fd: int) -> None:
        """Forget a descriptor that is closed right after: then the kernel does so by itself."""
        self._callbacks.pop(fd, None)

    def later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (self._clock() + delay_s, next(self._order), timer))
        return timer

    def soon(self, callback: Callable[[], None]) -> None:
        """In the next round, after the other sockets have had their turn."""
        self._soon.append(callback)

    def post(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the loop's thread. The only method for other threads, and signals."""
        self._posted.append(callback)
        os.eventfd_write(self._bell, 1)

    def on_signals(self, numbers: Iterable[int], callback: Callable[[], None]) -> None:
        """Call back when the process is sent one of these. To be called on the main thread.

        Python notes a signal and runs its handler when it next runs Python. One that comes just
        before the wait would go unheeded until the wait is over; so it also writes into a pipe,
        which ends the wait.
        """
        self._signals = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in numbers:
            signal.signal(number, lambda *_: self.post(callback))
        signal.set_wakeup_fd(self._signals[1], warn_on_full_buffer=False)
        self.add(self._signals[0], select.EPOLLIN, lambda _: os.read(self._signals[0], 4096))

    def aside(self, work: Callable[[], Result], done: Callable[[Result], None]) -> None:
        """Run `work` on a thread of its own, then `done` with its result on the loop's thread.

        `work` reports its own failures in what it returns.
        """

        def run() -> None:
            result = work()
            self.post(lambda: done(result))

        threading.Thread(target=run, name="aside").start()

    def run(self) -> None:
        """Serve until `stop`."""
        self._running = True
        while self._running:
            happened = self._epoll.poll(self._wait_s())
            self._fresh.clear()
            for fd, events in happened:
                if fd in self._fresh or not (callback := self._callbacks.get(fd)):
                    continue
                try:
                    callback(events)
                except Exception:  # one connection's trouble must not be everybody's
                    log.exception("a callback failed")
            self._run_due()
            self._run_soon()

    def stop(self) -> None:
        self._running = False

    def close(self) -> None:
        self._epoll.close()
        os.close(self._bell)

    def _wait_s(self) -> float | None:
        """How long nothing needs doing; None: until something happens."""
        if self._soon:
            return 0
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self._clock()) if self._timers else None

    def _run_due(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self._call(timer.callback)

    def _run_soon(self) -> None:
        for _ in range(len(self._soon)):
            self._call(self._soon.popleft())

    def _answer_bell(self, _events: int) -> None:
        os.eventfd_read(self._bell)
        for _ in range(len(self._posted)):
            self._call(self._posted.popleft())

    def _call(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            log.exception("a callback failed")
