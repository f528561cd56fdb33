"""The UDP proxy of one service port: it passes datagrams on, and answers back.

Which client talks to which endpoint, and for how long, is kept in `sessions.py`. Replies leave from
the proxy port, and from the very address that the client's datagram was turned to, or the rules
would not turn them back.

Each session is a record in the journal, and so is a datagram that nobody could be found for. Where
it was sent to before a rule turned it, the socket does not tell; `conntrack.py` finds out, but only
when somebody reads the journal.
"""

from __future__ import annotations

import logging
import select
import socket
import struct
import time
from collections.abc import Callable

from labkit.agent import balancer, journal, sessions, sockets
from labkit.agent import loop as event_loop
from labkit.model import proxying

log = logging.getLogger(__name__)

#: The largest datagram there can be.
MAX_DATAGRAM = 65535
#: Datagrams taken in one turn, before other sockets have theirs.
PER_TURN = 64
#: linux/in.h; Python's socket module has it from 3.14 on.
_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=I4s4s")


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
        self._sessions = sessions.Sessions(loop, self._close_session, idle_s=idle_s, clock=clock)
        self.port: int = sock.getsockname()[1]
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        loop.add(sock.fileno(), select.EPOLLIN, self._on_datagrams)

    def close(self) -> None:
        self._sessions.end_all("service gone")
        self._loop.remove(self._sock.fileno())
        self._sock.close()

    def drain(self) -> None:
        """Begin nothing new."""
        self._sessions.drain()

    def endpoints_changed(self) -> None:
        """Clients of an endpoint that is gone get another one with their next datagram."""
        for session in self._sessions:
            if session.endpoint not in self._balancer:
                self._sessions.retire(session, "endpoint gone")

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

    def _forward(self, data: bytes, key: sessions.Key) -> None:
        session = self._sessions.find(key) or self._begin(key)
        if session is None:
            self._book.counts.dropped_datagrams += 1
            return
        self._sessions.touch(session, answered=False)
        try:
            session.up += session.sock.send(data)
        except BlockingIOError:
            self._book.counts.dropped_datagrams += 1
        except OSError as error:  # the pod's node said that nobody is there
            self._endpoint_failed(session, error)

    def _begin(self, key: sessions.Key) -> sessions.Session | None:
        """A session with the endpoint whose turn it is; None when there is none."""
        client, asked = key
        record = self._book.begin(self.service_port, client)
        record.arrived_at = (socket.inet_ntoa(asked), self.port) if asked else None
        draining = self._sessions.draining
        choice = record.choice = None if draining else self._balancer.choose(client[0])
        if choice is None:
            self._refuse(record, "stopping" if draining else "no endpoints")
            return None
        endpoint = choice.endpoint
        try:
            sock = sockets.connect_udp(endpoint.ip, endpoint.port)
        except OSError as error:
            self._refuse(record, "out of descriptors", error.strerror or str(error))
            return None
        session = sessions.Session(key, endpoint, sock, record, self._sessions.end)
        record.carrier = session
        self._sessions.add(session)
        self._loop.add(sock.fileno(), select.EPOLLIN, lambda _events: self._on_replies(session))
        self._book.announce(record)
        self._book.connect(record, sock.getsockname())
        return session

    def _refuse(self, record: journal.Record, why: journal.Outcome, detail: str = "") -> None:
        name, client = self.service_port.name, record.client[0]
        log.info("%s: dropping a datagram of %s: %s", name, client, detail or why)
        self._book.announce(record)
        self._book.end(record, why, detail)

    def _on_replies(self, session: sessions.Session) -> None:
        for _ in range(PER_TURN):
            try:
                data = session.sock.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                self._endpoint_failed(session, error)
                return
            self._reply(session, data)

    def _endpoint_failed(self, session: sessions.Session, error: OSError) -> None:
        name, why = self.service_port.name, error.strerror or str(error)
        log.debug("%s: endpoint %s: %s", name, session.endpoint, why)
        self._sessions.end(session, "endpoint refused", why)

    def _reply(self, session: sessions.Session, data: bytes) -> None:
        client, asked = session.key
        self._sessions.touch(session, answered=True)
        source = [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, asked, b""))] if asked else []
        try:
            session.down += self._sock.sendmsg([data], source, 0, client)
        except OSError as error:
            self._book.counts.dropped_datagrams += 1
            log.debug("%s: a reply to %s: %s", self.service_port.name, client[0], error)

    def _close_session(
        self, session: sessions.Session, outcome: journal.Outcome, detail: str
    ) -> None:
        self._loop.remove(session.sock.fileno())
        session.sock.close()
        self._book.end(session.record, outcome, detail)
