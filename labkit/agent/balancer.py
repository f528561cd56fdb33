"""Which pod answers next: round robin, and for sticky Services the same pod again.

The endpoints of a service port are shuffled once, so that the proxies of different nodes do not all
begin with the same pod, and then taken in turn. With `sessionAffinity: ClientIP` a client address
is remembered with its endpoint; each new connection renews the memory, and `timeoutSeconds` after
the last one it is lost.

Pure but for the clock and the shuffle, which come from outside. US-61 to US-66.
"""

from __future__ import annotations

import collections
import random
import time
from collections.abc import Callable, Collection, Mapping, MutableSequence, Sequence
from typing import Literal, NamedTuple

from labkit.model import proxying

Reason = Literal["round robin", "affinity", "retry"]


class Choice(NamedTuple):
    """An endpoint, and why it is this one. A plain tuple: every connection makes one."""

    endpoint: proxying.Endpoint
    reason: Reason
    #: Its place in the rotation, from 1; 0 where the rotation was not asked.
    position: int
    #: How many places there were.
    of: int


class Balancer:
    """The rotation of one service port."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        shuffle: Callable[[MutableSequence[proxying.Endpoint]], None] = random.shuffle,
    ) -> None:
        self._clock = clock
        self._shuffle = shuffle
        self._endpoints: list[proxying.Endpoint] = []
        self._index = 0
        self._affinity_timeout_s = 0
        #: Client address -> (endpoint, time of the last connection), the oldest first.
        self._affinity: collections.OrderedDict[str, tuple[proxying.Endpoint, float]] = (
            collections.OrderedDict()
        )

    @property
    def endpoints(self) -> tuple[proxying.Endpoint, ...]:
        """In the order of the rotation."""
        return tuple(self._endpoints)

    @property
    def next_position(self) -> int:
        """Whose turn is next, from 1; 0 when there is nobody."""
        return self._index + 1 if self._endpoints else 0

    @property
    def affinity(self) -> Mapping[str, tuple[proxying.Endpoint, float]]:
        """Who is remembered: client address -> (endpoint, seconds since its last connection)."""
        now = self._clock()
        return {client: (known, now - used) for client, (known, used) in self._affinity.items()}

    def __contains__(self, endpoint: proxying.Endpoint) -> bool:
        return endpoint in self._endpoints

    def set_endpoints(self, endpoints: Sequence[proxying.Endpoint]) -> None:
        """Take a new set; the same set in another order changes nothing (US-64).

        Clients keep the endpoints that are still there.
        """
        if collections.Counter(endpoints) == collections.Counter(self._endpoints):
            return
        self._endpoints = list(endpoints)
        self._shuffle(self._endpoints)
        self._index = 0
        here = frozenset(endpoints)
        for client, (endpoint, _) in list(self._affinity.items()):
            if endpoint not in here:
                del self._affinity[client]

    def set_affinity(self, timeout_s: int) -> None:
        """0 means none. Takes effect at once, also for clients that are remembered already."""
        self._affinity_timeout_s = timeout_s
        if not timeout_s:
            self._affinity.clear()

    def choose(self, client: str, tried: Collection[proxying.Endpoint] = ()) -> Choice | None:
        """Choose for a new connection of `client`; None when there is no endpoint at all.

        `tried` are the endpoints at which this very connection has failed already: the client's
        affinity does not count then, and an endpoint that has not been tried comes first.
        """
        if not self._endpoints:
            return None
        if not self._affinity_timeout_s:
            return self._next(tried)
        choice = (None if tried else self._remembered(client)) or self._next(tried)
        self._affinity[client] = (choice.endpoint, self._clock())
        self._affinity.move_to_end(client)
        return choice

    def expire(self) -> None:
        """Forget the clients that have not come back in time."""
        oldest_kept = self._clock() - self._affinity_timeout_s
        while self._affinity:
            client, (_, used) = next(iter(self._affinity.items()))
            if used > oldest_kept:
                return
            del self._affinity[client]

    def _remembered(self, client: str) -> Choice | None:
        endpoint, used = self._affinity.get(client, (None, 0.0))
        if endpoint is None or self._clock() - used >= self._affinity_timeout_s:
            return None
        return Choice(endpoint, "affinity", 0, len(self._endpoints))

    def _next(self, tried: Collection[proxying.Endpoint]) -> Choice:
        count, place = len(self._endpoints), self._index
        reason: Reason = "round robin"
        if tried:
            reason = "retry"
            places = [(self._index + step) % count for step in range(count)]
            place = next((at for at in places if self._endpoints[at] not in tried), place)
        self._index = (place + 1) % count
        return Choice(self._endpoints[place], reason, place + 1, count)
