"""The TCP proxy of one service port: accept, dial, relay.

    rule ──▶ proxy port ──accept──▶ Dial ──▶ Relay
                                      └────▶ a reset, when no endpoint can be had

The client's connection is accepted by the kernel before anybody has looked for an endpoint. So a
Service without endpoints cannot refuse it; the next best is a prompt reset.
"""

from __future__ import annotations

import logging
import select
import socket

from labkit.agent import acceptor, balancer, dial, relay, sockets, tally
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
        name: proxying.ServicePortName,
        rotation: balancer.Balancer,
        counts: tally.Tally,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._name = name
        self._balancer = rotation
        self._tally = counts
        self.port: int = sock.getsockname()[1]
        loop.add(sock.fileno(), select.EPOLLIN, lambda _events: door.accept(sock, self._take))

    def close(self) -> None:
        self._loop.remove(self._sock.fileno())
        self._sock.close()

    def endpoints_changed(self) -> None:
        """Nothing to do: connections stay with their pod until one of the two ends them."""

    def _take(self, client: socket.socket, address: str) -> None:
        self._tally.connections += 1
        self._tally.active_connections += 1
        dial.Dial(
            self._loop,
            self._balancer,
            address,
            self._tally,
            on_connected=lambda backend: self._relay(client, backend),
            on_failed=lambda why: self._refuse(client, address, why),
        ).start()

    def _relay(self, client: socket.socket, backend: socket.socket) -> None:
        relay.Relay(self._loop, client, backend, self._over).start()

    def _refuse(self, client: socket.socket, address: str, why: str) -> None:
        log.info("%s: resetting the connection of %s: %s", self._name, address, why)
        self._tally.refused_connections += 1
        sockets.reset(client)
        self._over()

    def _over(self) -> None:
        self._tally.active_connections -= 1
