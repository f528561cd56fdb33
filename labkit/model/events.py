"""Progress as a stream of events. Whoever watches draws it; whoever works only tells it.

A long operation knows its steps beforehand, so every event says which step of how many, what is
awaited right now, and how long the operation has run.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["started", "waiting", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that just happened. `step` counts from 1; `elapsed_ms` from the first step."""

    step: int
    total: int
    name: str
    state: State
    detail: str = ""
    node: str = ""
    elapsed_ms: int = 0


Observer = Callable[[Event], None]


def ignore(_: Event) -> None:
    """The observer that does not look."""


class Progress:
    """Hands out the steps of one operation to one observer, from any thread.

    >>> seen: list[Event] = []
    >>> progress = Progress(seen.append, total=1, clock=lambda: 0.0)
    >>> with progress.step("start sshd", node="node1"):
    ...     progress.waiting("sshd's banner")
    >>> [event.state for event in seen]
    ['started', 'waiting', 'done']
    """

    def __init__(
        self, observer: Observer, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._observer = observer
        self._total = total
        self._clock = clock
        self._begun = clock()
        self._step = 0
        self._name = ""
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def step(self, name: str, *, node: str = "") -> Iterator[None]:
        with self._lock:
            self._step += 1
            self._name = name
        self._tell("started", node=node)
        try:
            yield
        except BaseException as error:
            self._tell("failed", detail=str(error), node=node)
            raise
        self._tell("done", node=node)

    def waiting(self, detail: str, *, node: str = "") -> None:
        """Say what the current step is waiting for."""
        self._tell("waiting", detail=detail, node=node)

    def _tell(self, state: State, *, detail: str = "", node: str = "") -> None:
        with self._lock:
            elapsed_ms = round((self._clock() - self._begun) * 1000)
            self._observer(
                Event(self._step, self._total, self._name, state, detail, node, elapsed_ms)
            )
