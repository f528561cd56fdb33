"""Find an endpoint that answers, for one client, without making any other client wait.

A pod that is gone does not say no: the SYN gets no answer. So each attempt has a time limit, and
after it the next endpoint has its turn: 250 ms, then 500 ms, 1 s and 2 s, four attempts in all
(US-50). Every dial is an object of its own in the event loop, so a hundred clients can be waiting
for a dead pod while the others are served.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
from collections.abc import Callable

from labkit.agent import balancer, journal, sockets
from labkit.agent import loop as event_loop
from labkit.model import proxying

log = logging.getLogger(__name__)

#: How long each attempt may take.
TIMEOUTS_S = (0.25, 0.5, 1.0, 2.0)
_ON_ITS_WAY = (0, errno.EINPROGRESS)


class Dial:
    """One client's search.

    Ends in `on_connected`, with a socket that the loop watches already and what has happened to it
    besides, or in `on_failed`, with the outcome and more about it. What was tried goes into the
    record.
    """

    __slots__ = (
        "_balancer",
        "_book",
        "_endpoint",
        "_loop",
        "_on_connected",
        "_on_failed",
        "_record",
        "_sock",
        "_timer",
        "_tried",
    )

    def __init__(
        self,
        loop: event_loop.Loop,
        rotation: balancer.Balancer,
        book: journal.Journal,
        record: journal.Record,
        *,
        on_connected: Callable[[sockets.Plain, int], None],
        on_failed: Callable[[journal.Outcome, str], None],
    ) -> None:
        self._loop = loop
        self._balancer = rotation
        self._book = book
        self._record = record
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._tried: tuple[proxying.Endpoint, ...] = ()
        self._endpoint: proxying.Endpoint | None = None
        self._sock: sockets.Plain | None = None
        self._timer: event_loop.Timer | None = None

    def start(self) -> None:
        """Try endpoints until one is at least on its way."""
        while len(self._tried) < len(TIMEOUTS_S):
            choice = self._balancer.choose(self._record.client[0], self._tried)
            if choice is None:
                self._on_failed("no endpoints", "")
                return
            self._record.choice = choice
            self._endpoint = choice.endpoint
            try:
                sock, code = sockets.begin_connect(self._endpoint.ip, self._endpoint.port)
            except OSError as error:  # out of descriptors, most likely: no endpoint's fault
                self._on_failed("out of descriptors", error.strerror or str(error))
                return
            if code in _ON_ITS_WAY:
                self._await(sock)
                return
            self._give_up_on(sock, os.strerror(code))
        self._on_failed("dial failed", f"none of {len(self._tried)} endpoints answered")

    def abandon(self) -> None:
        """Stop searching."""
        if self._sock is not None:
            sock = self._stop_waiting()
            self._loop.remove(sock.fileno())
            sock.close()

    def _await(self, sock: sockets.Plain) -> None:
        self._sock = sock
        self._timer = self._loop.later(TIMEOUTS_S[len(self._tried)], self._on_timeout)
        self._loop.add(sock.fileno(), event_loop.EDGES, self._on_event)

    def _on_event(self, events: int) -> None:
        """While a SYN is on its way nothing happens. Now it was refused, or answered."""
        sock = self._stop_waiting()
        if events & select.EPOLLERR:
            self._loop.remove(sock.fileno())
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._give_up_on(sock, os.strerror(error))
            self.start()
            return
        assert self._timer is not None
        # The timer would have given up. Now it finds out whether this is more than a moment's call.
        self._timer.callback = lambda: sockets.watch_peer(sock)
        self._on_connected(sock, events)

    def _on_timeout(self) -> None:
        sock = self._stop_waiting()
        self._loop.remove(sock.fileno())
        self._give_up_on(sock, "no answer in time")
        self.start()

    def _stop_waiting(self) -> sockets.Plain:
        assert self._sock is not None
        assert self._timer is not None
        self._timer.cancel()
        sock, self._sock = self._sock, None
        return sock

    def _give_up_on(self, sock: sockets.Plain, why: str) -> None:
        assert self._endpoint is not None
        sock.close()
        self._book.counts.failed_dials += 1
        self._tried += (self._endpoint,)
        self._record.failures += ((self._endpoint, why),)
        log.debug("endpoint %s for client %s: %s", self._endpoint, self._record.client[0], why)
