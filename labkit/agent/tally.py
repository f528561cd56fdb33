"""What the agent counts. Each number changes at the one place in the code where its thing happens.

Connections begin and end in the journal (`journal.py`), syncs in the proxier, datagrams in the UDP
proxy. `metrics.py` makes Prometheus' text of it.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Sequence
from dataclasses import dataclass, field

#: kube-proxy's: 1 ms, and twice as much each time, up to 16 s.
SYNC_BUCKETS = tuple(0.001 * 2**k for k in range(15))
#: kube-proxy's: 0, a quarter, a half, seconds to a minute, and coarser up to five minutes.
PROGRAMMING_BUCKETS = (
    *(0.0, 0.25, 0.5),
    *(float(s) for s in (*range(1, 60), *range(60, 120, 5), *range(120, 301, 30))),
)


class Histogram:
    """How often a duration was at most so long: Prometheus' kind, counted by bucket."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        #: By bucket, not yet cumulative; the last is for what is longer than the longest bound.
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        self._counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def cumulative(self) -> tuple[tuple[float, int], ...]:
        """Each bound with the number of values that were at most that."""
        total, found = 0, []
        for bound, count in zip((*self.bounds, float("inf")), self._counts, strict=True):
            total += count
            found.append((bound, total))
        return tuple(found)


@dataclass(slots=True)
class Tally:
    """Totals since the start, and `active_*` as they are now."""

    connections: int = 0
    active_connections: int = 0
    udp_sessions: int = 0
    active_udp_sessions: int = 0
    #: By protocol and outcome, as the journal says it.
    outcomes: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    #: Bytes toward endpoints and back, of all that has ended.
    moved: tuple[int, int] = (0, 0)
    failed_dials: int = 0
    dropped_datagrams: int = 0
    syncs: int = 0
    restore_failures: int = 0
    #: Seconds since the epoch; 0 before the first.
    last_sync: float = 0.0
    last_queued: float = 0.0
    #: How long syncs took.
    sync_s: Histogram = field(default_factory=lambda: Histogram(SYNC_BUCKETS))
    #: From the change of a pod to the balancer that knows of it.
    programming_s: Histogram = field(default_factory=lambda: Histogram(PROGRAMMING_BUCKETS))
    service_changes: int = 0
    service_changes_pending: int = 0
    endpoint_changes: int = 0
    endpoint_changes_pending: int = 0
    #: Requests to the API server, by status ("<error>": there was no answer).
    requests: collections.Counter[str] = field(default_factory=collections.Counter)

    def begin(self, protocol: str) -> None:
        if protocol == "UDP":
            self.udp_sessions += 1
            self.active_udp_sessions += 1
        else:
            self.connections += 1
            self.active_connections += 1

    def end(self, protocol: str, outcome: str, moved: tuple[int, int]) -> None:
        if protocol == "UDP":
            self.active_udp_sessions -= 1
        else:
            self.active_connections -= 1
        self.outcomes[protocol, outcome] += 1
        self.moved = (self.moved[0] + moved[0], self.moved[1] + moved[1])

    @property
    def refused_connections(self) -> int:
        """Connections that were reset because no endpoint could be had."""
        return sum(self.outcomes["TCP", why] for why in ("no endpoints", "dial failed"))
