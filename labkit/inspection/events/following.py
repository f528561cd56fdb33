"""Everything that happens, from everywhere, in one stream."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from labkit import errors
from labkit.inspection.events import event, sources

#: How long it may take until everything is heard.
READY_S = 15.0
#: Python heeds a signal when it next runs Python: Ctrl-C in the instant before a wait goes unheeded
#: until that is over. So none is longer.
HEEDS_S = 1.0


class Events:
    """All events from now on, of these kinds or of all. Made by `Lab.events`; to be closed.

    >>> with lab.events() as happening:  # doctest: +SKIP
    ...     for one in happening:
    ...         print(one)
    """

    def __init__(self, heard: Sequence[sources.Source], kinds: Collection[str] = ()) -> None:
        self._kinds = frozenset(kinds or event.KINDS)
        self._queue: queue.SimpleQueue[event.Event | None] = queue.SimpleQueue()
        self._sources = heard
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Events:
        """Return when everything is heard. Raises TimedOut for whoever is not, and says nothing."""
        end = time.monotonic() + READY_S
        waiting = [(source, self._start(source)) for source in self._sources]
        for source, heard in waiting:
            if not heard.wait(max(0.0, end - time.monotonic())):
                self.close()
                raise errors.TimedOut(f"{source.name}: not heard within {READY_S:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, timeout_s: float | None = None) -> event.Event | None:
        """The next event; None when there was none in that time, or when the stream is closed."""
        end = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = max(0.0, end - time.monotonic())
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=min(left, HEEDS_S))
            if left <= HEEDS_S:
                return None

    def within(self, seconds: float | None) -> Iterator[event.Event]:
        """Every event of that time; without a limit, until the stream is closed."""
        end = None if seconds is None else time.monotonic() + seconds
        while one := self.read(None if end is None else max(0.0, end - time.monotonic())):
            yield one

    def __iter__(self) -> Iterator[event.Event]:
        return self.within(None)

    def until(
        self, wanted: Callable[[event.Event], bool], *, timeout_s: float = 30.0
    ) -> tuple[event.Event, ...]:
        """All events up to the first that is `wanted`. Raises TimedOut."""
        seen: list[event.Event] = []
        for one in self.within(timeout_s):
            seen.append(one)
            if wanted(one):
                return tuple(seen)
        raise errors.TimedOut(f"{len(seen)} events in {timeout_s:g} s, and none that was awaited")

    def close(self) -> None:
        """End what listens everywhere, and whoever waits for an event."""
        for source in self._sources:
            source.stop()
        for thread in self._threads:
            thread.join()
        self._queue.put(None)

    def _start(self, source: sources.Source) -> threading.Event:
        heard = threading.Event()
        thread = threading.Thread(
            target=source.run,
            args=(self._tell, heard),
            name=f"events of {source.name}",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()
        return heard

    def _tell(self, one: event.Event) -> None:
        if one.kind in self._kinds:
            self._queue.put(one)
