"""The UDP proxy of one service port: a session for each client.

UDP has no connections, so the proxy makes up *sessions*: a client's first datagram gets an endpoint
and a socket of its own toward it; what comes back on that socket goes to that client. Replies leave
from the proxy port, and from the very address that the client's datagram was turned to, or the
rules would not turn them back.

A session that has been silent for `--udp-timeout` is over: the next datagram of its client is
balanced anew. But a pod may still be working on the last question. So a session whose last word was
the client's stays and listens for REPLY_WINDOW_S, as long as the kernel's own tracking would let
a late answer through.

Each session is a record in the journal, and so is a datagram that nobody could be found for. Where
it was sent to before a rule turned it, the socket does not tell; `conntrack.py` finds out, but only
when somebody reads the journal.
"""

from __future__ import annotations

import collections
import logging
import select
import socket
import struct
import time
from collections.abc import Callable

from labkit.agent import balancer, journal, sockets
from labkit.agent import loop as event_loop
from labkit.model import proxying

log = logging.getLogger(__name__)

#: The largest datagram there can be.
MAX_DATAGRAM = 65535
#: Linux' nf_conntrack_udp_timeout: later than this, a reply would not be translated back.
REPLY_WINDOW_S = 30.0
#: Sessions that may wait for a late reply, at one proxy port; the oldest go first.
MAX_WAITING = 1024
#: Datagrams taken in one turn, before other sockets have theirs.
PER_TURN = 64
#: linux/in.h; Python's socket module has it from 3.14 on.
_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=I4s4s")

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


class UdpProxy:
    """Receives on a proxy port. Closing it ends its sessions."""

    def __init__(
        self,
        loop: event_loop.Loop,
        sock: socket.socket,
        service_port: proxying.ServicePort,
        rotation: balancer.Balancer,
        book: journal.Journal,
        *,
        idle_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._sock = sock
        #: As it is now; it may change while the socket stays.
        self.service_port = service_port
        self._balancer = rotation
        self._book = book
        self._idle_s = idle_s
        self._clock = clock
        #: By client; the one that was used longest ago comes first.
        self._sessions: collections.OrderedDict[Key, Session] = collections.OrderedDict()
        #: Over, but for a reply that may still come.
        self._waiting: collections.deque[Session] = collections.deque()
        self._timer: event_loop.Timer | None = None
        self._draining = False
        self.port: int = sock.getsockname()[1]
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        loop.add(sock.fileno(), select.EPOLLIN, self._on_datagrams)

    def close(self) -> None:
        for session in (*self._sessions.values(), *self._waiting):
            self._end(session, "service gone")
        if self._timer:
            self._timer.cancel()
        self._loop.remove(self._sock.fileno())
        self._sock.close()

    def drain(self) -> None:
        """Begin nothing new, and do not wait long: a datagram may be lost anywhere, at any time."""
        self._draining = True
        for session in tuple(self._waiting):
            self._end(session, "no answer")

    def endpoints_changed(self) -> None:
        """Clients of an endpoint that is gone get another one with their next datagram."""
        for session in tuple(self._sessions.values()):
            if session.endpoint not in self._balancer:
                self._retire(session, "endpoint gone")

    def _on_datagrams(self, _events: int) -> None:
        for _ in range(PER_TURN):
            try:
                data, info, _flags, client = self._sock.recvmsg(
                    MAX_DATAGRAM, socket.CMSG_SPACE(_PKTINFO.size)
                )
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("%s: %s", self.service_port.name, error)
                return
            asked = _PKTINFO.unpack(info[0][2])[1] if info else b""
            self._forward(data, (client, asked))

    def _forward(self, data: bytes, key: Key) -> None:
        session = self._sessions.get(key)
        if session and self._clock() - session.last_used >= self._idle_s:
            self._retire(session, "idle")
            session = None
        session = session or self._begin(key)
        if session is None:
            self._book.counts.dropped_datagrams += 1
            return
        self._touch(session, answered=False)
        try:
            session.up += session.sock.send(data)
        except BlockingIOError:
            self._book.counts.dropped_datagrams += 1
        except OSError as error:  # the pod's node said that nobody is there
            self._endpoint_failed(session, error)

    def _begin(self, key: Key) -> Session | None:
        """A session with the endpoint whose turn it is; None when there is none."""
        client, asked = key
        record = self._book.begin(self.service_port, client)
        record.arrived_at = (socket.inet_ntoa(asked), self.port) if asked else None
        choice = record.choice = None if self._draining else self._balancer.choose(client[0])
        if choice is None:
            self._refuse(record, "stopping" if self._draining else "no endpoints")
            return None
        endpoint = choice.endpoint
        try:
            sock = sockets.connect_udp(endpoint.ip, endpoint.port)
        except OSError as error:
            self._refuse(record, "out of descriptors", error.strerror or str(error))
            return None
        session = Session(key, endpoint, sock, record, self._end)
        session.last_used = self._clock()
        record.carrier = session
        self._sessions[key] = session
        self._loop.add(sock.fileno(), select.EPOLLIN, lambda _events: self._on_replies(session))
        self._book.announce(record)
        self._book.connect(record, sock.getsockname())
        if len(self._sessions) == 1:
            self._watch_idleness()
        return session

    def _refuse(self, record: journal.Record, why: journal.Outcome, detail: str = "") -> None:
        name, client = self.service_port.name, record.client[0]
        log.info("%s: dropping a datagram of %s: %s", name, client, detail or why)
        self._book.announce(record)
        self._book.end(record, why, detail)

    def _on_replies(self, session: Session) -> None:
        for _ in range(PER_TURN):
            try:
                data = session.sock.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                self._endpoint_failed(session, error)
                return
            self._reply(session, data)

    def _endpoint_failed(self, session: Session, error: OSError) -> None:
        name, why = self.service_port.name, error.strerror or str(error)
        log.debug("%s: endpoint %s: %s", name, session.endpoint, why)
        self._end(session, "endpoint refused", why)

    def _reply(self, session: Session, data: bytes) -> None:
        client, asked = session.key
        self._touch(session, answered=True)
        source = [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, asked, b""))] if asked else []
        try:
            session.down += self._sock.sendmsg([data], source, 0, client)
        except OSError as error:
            self._book.counts.dropped_datagrams += 1
            log.debug("%s: a reply to %s: %s", self.service_port.name, client[0], error)

    def _touch(self, session: Session, *, answered: bool) -> None:
        session.last_used = self._clock()
        session.answered = answered
        if self._sessions.get(session.key) is session:
            self._sessions.move_to_end(session.key)

    def _watch_idleness(self) -> None:
        """One timer for all sessions; none while there are none, so that an idle agent sleeps."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._sessions or self._waiting:
            delay_s = self._idle_s if self._sessions else REPLY_WINDOW_S
            self._timer = self._loop.later(delay_s, self._sweep)

    def _sweep(self) -> None:
        now = self._clock()
        while self._sessions:
            session = next(iter(self._sessions.values()))
            if now - session.last_used < self._idle_s:
                break
            self._retire(session, "idle")
        while self._waiting and (
            now - self._waiting[0].last_used >= REPLY_WINDOW_S or len(self._waiting) > MAX_WAITING
        ):
            late = self._waiting[0]
            self._end(late, "idle" if late.answered else "no answer")
        self._watch_idleness()

    def _retire(self, session: Session, outcome: journal.Outcome) -> None:
        """The client's next datagram begins anew; an answer that is due may still come."""
        if session.answered or self._draining:
            self._end(session, outcome if session.answered else "no answer")
            return
        del self._sessions[session.key]
        self._waiting.append(session)

    def _end(self, session: Session, outcome: journal.Outcome, detail: str = "") -> None:
        if self._sessions.get(session.key) is session:
            del self._sessions[session.key]
        elif session in self._waiting:
            self._waiting.remove(session)
        else:
            return
        self._loop.remove(session.sock.fileno())
        session.sock.close()
        self._book.end(session.record, outcome, detail)
