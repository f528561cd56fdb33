"""The journal: what became of each connection and of each UDP session.

A proxied connection is two, and no packet tracer can tell which two belong together. Here that is
known, so it is written down: who asked for what, which endpoint was chosen and why, from which
address of ours the pod was called, how much was said both ways, and how it ended.

Writing is cheap, because reading is rare. A Record keeps what is at hand as it is; texts are made
of it when somebody asks (`describe.py`). The clocks are read without a system call. Bytes are
counted by whoever carries them, and asked for only then.

This is also the one place where connections begin and end for the agent: the counters change here,
and who waits until all is quiet (a stop that drains) is told from here.
"""

from __future__ import annotations

import collections
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from labkit.agent import balancer, tally
from labkit.model import proxying

log = logging.getLogger(__name__)

#: What has ended is kept so long as there are not so many newer ones. A record takes some 700
#: bytes, and a lab's questions are about the last minute.
KEPT = 1000

Address = tuple[str, int]
Event = Literal["began", "connected", "ended"]
#: How it ended, in so many words as there are ways to end. The README says what each means.
Outcome = Literal[
    "client closed",
    "endpoint closed",
    "client reset",
    "endpoint reset",
    "no endpoints",
    "dial failed",
    "out of descriptors",
    "idle",
    "no answer",
    "endpoint gone",
    "endpoint refused",
    "service gone",
    "stopping",
]


class Carrier(Protocol):
    """What carries the bytes of an open record."""

    def moved(self) -> tuple[int, int]:
        """Bytes so far, toward the endpoint and back."""
        ...

    def cut(self, outcome: Outcome) -> None:
        """End it now."""
        ...


class Record:
    """One TCP connection, or one UDP session."""

    __slots__ = (
        "_moved",
        "arrived_at",
        "asked",
        "began",
        "carrier",
        "choice",
        "client",
        "connected",
        "detail",
        "ended",
        "failures",
        "number",
        "original",
        "outcome",
        "service_port",
        "source",
        "wall",
    )

    def __init__(
        self,
        number: int,
        service_port: proxying.ServicePort,
        client: Address,
        *,
        wall: float,
        began: float,
    ) -> None:
        self.number = number
        #: As it was at that moment: the addresses at which one could ask for it.
        self.service_port = service_port
        self.client = client
        #: The address that was asked for, before any rule changed it. None: nobody knows, or
        #: nobody has looked yet at what is known of it, which is one of the next two.
        self.asked: Address | None = None
        #: TCP: that address, as the kernel says it.
        self.original = b""
        #: UDP: the address of ours that a rule turned it to.
        self.arrived_at: Address | None = None
        self.choice: balancer.Choice | None = None
        #: Endpoints that did not answer, each with the reason, in order.
        self.failures: tuple[tuple[proxying.Endpoint, str], ...] = ()
        #: Our own address toward the endpoint.
        self.source: Address | None = None
        #: Seconds since the epoch; the other times are the monotonic clock's. 0: not yet.
        self.wall = wall
        self.began = began
        self.connected = 0.0
        self.ended = 0.0
        self.outcome: Outcome | None = None
        #: More about the outcome, where there is more.
        self.detail = ""
        self.carrier: Carrier | None = None
        self._moved = (0, 0)

    def moved(self) -> tuple[int, int]:
        """Bytes toward the endpoint, and back."""
        return self.carrier.moved() if self.carrier else self._moved

    def close(self, now: float, outcome: Outcome, detail: str) -> None:
        self._moved = self.moved()
        self.carrier = None
        self.ended = now
        self.outcome = outcome
        self.detail = detail


Listener = Callable[[Event, Record], None]


class Journal:
    """Every record that is open, and the latest of those that have ended."""

    def __init__(
        self,
        counts: tally.Tally,
        *,
        kept: int = KEPT,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.counts = counts
        self._clock = clock
        self._wall = wall
        self._numbers = itertools.count(1)
        self._open: dict[int, Record] = {}
        self._ended: collections.deque[Record] = collections.deque(maxlen=kept)
        self._listeners: list[Listener] = []
        self._when_quiet: Callable[[], None] | None = None

    def begin(
        self, service_port: proxying.ServicePort, client: Address, carrier: Carrier | None = None
    ) -> Record:
        """Open a record. Whoever begins one ends it."""
        number = next(self._numbers)
        record = Record(number, service_port, client, wall=self._wall(), began=self._clock())
        record.carrier = carrier
        self._open[number] = record
        self.counts.begin(service_port.protocol)
        return record

    def announce(self, record: Record) -> None:
        """To be called when all that is known at the beginning has been written down."""
        if self._listeners:
            self._tell("began", record)

    def connect(self, record: Record, source: Address) -> None:
        record.source = source
        record.connected = self._clock()
        if self._listeners:
            self._tell("connected", record)

    def end(self, record: Record, outcome: Outcome, detail: str = "") -> None:
        """Close a record. One that is closed already stays as it is."""
        if self._open.pop(record.number, None) is None:
            return
        record.close(self._clock(), outcome, detail)
        self._ended.append(record)
        self.counts.end(record.service_port.protocol, outcome, record.moved())
        if self._listeners:
            self._tell("ended", record)
        if not self._open and self._when_quiet:
            self._when_quiet()

    def __iter__(self) -> Iterator[Record]:
        """What is kept: first what has ended, then what is open, each oldest first."""
        return itertools.chain(tuple(self._ended), self.open())

    def open(self) -> tuple[Record, ...]:
        return tuple(self._open.values())

    def moved(self) -> tuple[int, int]:
        """All bytes ever, toward endpoints and back."""
        pairs = [self.counts.moved, *(record.moved() for record in self._open.values())]
        return sum(up for up, _ in pairs), sum(down for _, down in pairs)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of every event from now on. Returns what stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def when_quiet(self, callback: Callable[[], None]) -> None:
        """Call back as soon as nothing is open, which may be now."""
        self._when_quiet = callback
        if not self._open:
            callback()

    def cut_all(self, outcome: Outcome) -> None:
        """End whatever is open."""
        for record in self.open():
            if record.carrier:
                record.carrier.cut(outcome)

    def _tell(self, event: Event, record: Record) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event, record)
            except Exception:  # a reader's trouble must not be the connection's
                log.exception("a listener failed at record %d", record.number)
