"""The TCP proxy of one service port: accept, dial, relay.

    rule ──▶ proxy port ──accept──▶ Dial ──▶ Relay
                                      └────▶ a reset, when no endpoint can be had

The client's connection is accepted by the kernel before anybody has looked for an endpoint. So a
Service without endpoints cannot refuse it; the next best is a prompt reset, and a record in the
journal that says why.
"""

from __future__ import annotations

import logging
import select
import socket

from labkit.agent import acceptor, balancer, dial, journal, relay, sockets
from labkit.agent import loop as event_loop
from labkit.model import proxying

log = logging.getLogger(__name__)


class TcpProxy:
    """Listens on a proxy port. Closing it leaves the connections that it has accepted alone."""

    def __init__(
        self,
        loop: event_loop.Loop,
        door: acceptor.Acceptor,
        sock: socket.socket,
        service_port: proxying.ServicePort,
        rotation: balancer.Balancer,
        book: journal.Journal,
    ) -> None:
        self._loop = loop
        self._sock = sock
        #: As it is now; it may change while the socket stays.
        self.service_port = service_port
        self._balancer = rotation
        self._book = book
        self.port: int = sock.getsockname()[1]
        loop.add(
            sock.fileno(),
            select.EPOLLIN,
            lambda _events: door.accept(sock, self._take, self._could_not_take),
        )

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove(self._sock.fileno())
            self._sock.close()

    def drain(self) -> None:
        """Accept nobody any more: from now on the kernel refuses who knocks at this port."""
        self.close()

    def endpoints_changed(self) -> None:
        """Nothing to do: connections stay with their pod until one of the two ends them."""

    def _take(self, client: sockets.Plain, address: journal.Address) -> None:
        Connection(
            self._loop, self._book, client, address, self.service_port, self._balancer
        ).start()

    def _could_not_take(self, client: sockets.Plain, address: journal.Address) -> None:
        record = self._book.begin(self.service_port, address)
        record.original = sockets.original_destination(client)
        self._book.end(record, "out of descriptors")


class Connection:
    """One client's, from the moment when it is accepted to its end."""

    __slots__ = ("_book", "_client", "_dial", "_loop", "_record", "_relay")

    def __init__(
        self,
        loop: event_loop.Loop,
        book: journal.Journal,
        client: sockets.Plain,
        address: journal.Address,
        service_port: proxying.ServicePort,
        rotation: balancer.Balancer,
    ) -> None:
        self._loop = loop
        self._book = book
        self._client = client
        self._record = record = book.begin(service_port, address, self)
        record.original = sockets.original_destination(client)
        self._relay: relay.Relay | None = None
        self._dial: dial.Dial | None = dial.Dial(
            loop, rotation, book, record, on_connected=self._carry, on_failed=self._refuse
        )
        book.announce(record)

    def start(self) -> None:
        assert self._dial is not None
        self._dial.start()

    def moved(self) -> tuple[int, int]:
        return self._relay.moved() if self._relay else (0, 0)

    def cut(self, outcome: journal.Outcome) -> None:
        if self._relay:
            self._relay.cut(outcome)
        elif self._dial:
            self._dial.abandon()
            self._refuse(outcome, "")

    def _carry(self, backend: sockets.Plain, events: int) -> None:
        self._dial = None
        self._book.connect(self._record, backend.getsockname())
        self._relay = relay.Relay(self._loop, self._client, backend, self._end)
        self._relay.start(events)

    def _refuse(self, outcome: journal.Outcome, detail: str) -> None:
        name, client = self._record.service_port.name, self._record.client[0]
        why = f"{outcome}: {detail}" if detail else outcome
        log.info("%s: resetting the connection of %s: %s", name, client, why)
        self._end(outcome, detail)  # first: who sees the reset finds it in the journal
        sockets.reset(self._client)

    def _end(self, outcome: journal.Outcome, detail: str) -> None:
        self._book.end(self._record, outcome, detail)
        self._dial = self._relay = None  # they know us: let no circle wait for the collector
