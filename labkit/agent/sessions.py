"""Who talks to whom over UDP, and when that is over: a session for each client.

UDP has no connections, so the proxy makes up *sessions*: a client's first datagram gets an endpoint
and a socket of its own toward it; what comes back on that socket goes to that client.

A session that has been silent for `--udp-timeout` is over: the next datagram of its client is
balanced anew. But a pod may still be working on the last question. So a session whose last word was
the client's stays and listens for REPLY_WINDOW_S, as long as the kernel's own tracking would let
a late answer through:

    talking ──silent, and answered──▶ over
       └──silent, an answer is due──▶ waiting ──answered, or too late──▶ over
"""

from __future__ import annotations

import collections
import socket
from collections.abc import Callable, Iterator

from labkit.agent import journal
from labkit.agent import loop as event_loop
from labkit.model import proxying

#: Linux' nf_conntrack_udp_timeout: later than this, a reply would not be translated back.
REPLY_WINDOW_S = 30.0
#: Sessions that may wait for a late reply, at one proxy port; the oldest go first.
MAX_WAITING = 1024

Address = tuple[str, int]
#: Who asked, and which of the node's addresses was asked.
Key = tuple[Address, bytes]


class Session:
    """What one client and one endpoint have to say to each other."""

    __slots__ = ("_end", "answered", "down", "endpoint", "key", "last_used", "record", "sock", "up")

    def __init__(
        self,
        key: Key,
        endpoint: proxying.Endpoint,
        sock: socket.socket,
        record: journal.Record,
        end: Callable[[Session, journal.Outcome], None],
    ) -> None:
        self.key = key
        self.endpoint = endpoint
        self.sock = sock
        self.record = record
        self._end = end
        self.last_used = 0.0
        self.answered = False
        #: Bytes toward the endpoint, and back.
        self.up = 0
        self.down = 0

    def moved(self) -> tuple[int, int]:
        return self.up, self.down

    def cut(self, outcome: journal.Outcome) -> None:
        self._end(self, outcome)


class Sessions:
    """Those of one proxy port. `close` is called once for each, when it is over."""

    def __init__(
        self,
        loop: event_loop.Loop,
        close: Callable[[Session, journal.Outcome, str], None],
        *,
        idle_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._close = close
        self._idle_s = idle_s
        self._clock = clock
        #: By client; the one that was used longest ago comes first.
        self._talking: collections.OrderedDict[Key, Session] = collections.OrderedDict()
        #: Over, but for a reply that may still come.
        self._waiting: collections.deque[Session] = collections.deque()
        self._timer: event_loop.Timer | None = None
        #: Nothing new is to begin, and nobody waits for a late reply.
        self.draining = False

    def __iter__(self) -> Iterator[Session]:
        """Those that are talking."""
        return iter(tuple(self._talking.values()))

    def find(self, key: Key) -> Session | None:
        """A client's session; None when it has none, or was silent for too long."""
        session = self._talking.get(key)
        if session and self._clock() - session.last_used >= self._idle_s:
            self.retire(session, "idle")
            return None
        return session

    def add(self, session: Session) -> None:
        session.last_used = self._clock()
        self._talking[session.key] = session
        if len(self._talking) == 1:
            self._watch_idleness()

    def touch(self, session: Session, *, answered: bool) -> None:
        """Something was said: by the pod (`answered`), or by the client."""
        session.last_used = self._clock()
        session.answered = answered
        if self._talking.get(session.key) is session:
            self._talking.move_to_end(session.key)

    def retire(self, session: Session, outcome: journal.Outcome) -> None:
        """The client's next datagram begins anew; an answer that is due may still come."""
        if session.answered or self.draining:
            self.end(session, outcome if session.answered else "no answer")
            return
        del self._talking[session.key]
        self._waiting.append(session)

    def end(self, session: Session, outcome: journal.Outcome, detail: str = "") -> None:
        """End a session, unless it has ended already."""
        if self._talking.get(session.key) is session:
            del self._talking[session.key]
        elif session in self._waiting:
            self._waiting.remove(session)
        else:
            return
        self._close(session, outcome, detail)

    def end_all(self, outcome: journal.Outcome) -> None:
        for session in (*self._talking.values(), *self._waiting):
            self.end(session, outcome)
        if self._timer:
            self._timer.cancel()

    def drain(self) -> None:
        """Do not wait long: a datagram may be lost anywhere, at any time."""
        self.draining = True
        for session in tuple(self._waiting):
            self.end(session, "no answer")

    def _watch_idleness(self) -> None:
        """One timer for all sessions; none while there are none, so that an idle agent sleeps."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._talking or self._waiting:
            delay_s = self._idle_s if self._talking else REPLY_WINDOW_S
            self._timer = self._loop.later(delay_s, self._sweep)

    def _sweep(self) -> None:
        now = self._clock()
        while self._talking:
            session = next(iter(self._talking.values()))
            if now - session.last_used < self._idle_s:
                break
            self.retire(session, "idle")
        while self._waiting and (
            now - self._waiting[0].last_used >= REPLY_WINDOW_S or len(self._waiting) > MAX_WAITING
        ):
            late = self._waiting[0]
            self.end(late, "idle" if late.answered else "no answer")
        self._watch_idleness()
