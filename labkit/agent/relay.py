"""Carry bytes between a client and a pod, both ways, until both have said all.

A proxied connection is *two* TCP connections with this file in between:

    client ═══TCP═══ [client socket]  up ──▶  [backend socket] ═══TCP═══ pod
                                     ◀── down

Each direction is a Stream (`stream.py`), and has an end of its own. "I have no more to say" (a FIN)
is carried through as just that; the other direction goes on. Only when both are over are the
sockets closed. A reset, "I take no more either", ends both.
"""

from __future__ import annotations

import select
from collections.abc import Callable

from labkit.agent import journal, sockets, stream
from labkit.agent import loop as event_loop

#: All that can be news for a direction that others were let go before.
_BOTH = select.EPOLLIN | select.EPOLLOUT


class Relay:
    """Both directions of one proxied connection. Owns both sockets, and closes them."""

    __slots__ = (
        "_asked_to_write",
        "_backend",
        "_client",
        "_closed",
        "_down",
        "_first",
        "_loop",
        "_on_close",
        "_queued",
        "_up",
    )

    def __init__(
        self,
        loop: event_loop.Loop,
        client: sockets.Plain,
        backend: sockets.Plain,
        on_close: Callable[[journal.Outcome, str], None],
    ) -> None:
        self._loop = loop
        self._client = client
        self._backend = backend
        self._on_close = on_close
        self._up = stream.Stream(client, backend)
        self._down = stream.Stream(backend, client)
        #: How it will have ended: who was the first to say that this was all.
        self._first: journal.Outcome | None = None
        self._queued = False
        #: Whether the loop tells when the client can take more: only once it could not.
        self._asked_to_write = False
        self._closed = False

    def start(self, events: int) -> None:
        """Begin. The backend is watched already, by whoever connected it and was told `events`."""
        self._loop.replace(self._backend.fileno(), self._on_backend)
        self._loop.add(self._client.fileno(), event_loop.READ_EDGES, self._on_client)
        self._move(0, events)  # of the client's side the loop will tell

    def moved(self) -> tuple[int, int]:
        """Bytes that the pod has taken, and the client."""
        return self._up.moved, self._down.moved

    def cut(self, outcome: journal.Outcome) -> None:
        """End it now; both ends see a reset."""
        if not self._closed:
            self._close(outcome, rudely=True)

    def _on_client(self, events: int) -> None:
        """A client that reset the connection wants no more answers, even if it had ended before."""
        if events & select.EPOLLERR and not self._closed:
            self._close("client reset", rudely=True)
        else:
            self._move(events, 0)

    def _on_backend(self, events: int) -> None:
        """A pod may reset the connection and have answered before: so what came is delivered."""
        self._move(0, events)

    def _move(self, client: int, backend: int) -> None:
        """Go on in the directions for which something has happened at one of the two sockets."""
        if self._closed:
            return
        up, down = self._up, self._down
        more = False
        side: journal.Outcome = "client reset"
        try:
            if up.hear(client, backend):
                more = up.move(last=down.over)
            side = "endpoint reset"
            if down.hear(backend, client):
                more = down.move(last=up.over) or more
        except OSError as error:
            self._close(side, _detail(error), rudely=True)
            return
        if self._first is None and (up.ended or down.ended):
            self._first = "client closed" if up.ended else "endpoint closed"
        if up.over and down.over:
            # A reset that was met in writing is not met again in reading: it is passed on here.
            self._close(self._ending(), rudely=up.broken or down.broken)
            return
        if more and not self._queued:
            self._queued = True
            self._loop.soon(self._go_on)
        if down.waits and not self._asked_to_write:
            self._asked_to_write = True
            self._loop.change(self._client.fileno(), event_loop.EDGES)

    def _go_on(self) -> None:
        self._queued = False
        self._move(_BOTH, _BOTH)

    def _ending(self) -> journal.Outcome:
        """Who would not take what was for it had gone; else it was over when both had said all."""
        if self._up.broken:
            return "endpoint reset"
        if self._down.broken:
            return "client reset"
        return self._first or "client closed"

    def _close(self, outcome: journal.Outcome, detail: str = "", *, rudely: bool) -> None:
        """`rudely`: one end reset the connection, so the other end is told the same way."""
        self._closed = True
        for sock in (self._client, self._backend):
            self._loop.forget(sock.fileno())
            if rudely:
                sockets.reset(sock)
            else:
                sock.close()
        self._up.close()
        self._down.close()
        self._on_close(outcome, detail)


def _detail(error: OSError) -> str:
    """A reset is said by the outcome; a peer that vanished (ETIMEDOUT) is worth a word."""
    return "" if isinstance(error, ConnectionResetError) else error.strerror or str(error)
