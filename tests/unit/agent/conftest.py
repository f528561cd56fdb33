"""A loop that runs, and proxies in it whose pods are on loopback."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labkit.agent import acceptor, balancer, journal, sockets, tally, tcp, udp
from labkit.model.proxying import Endpoint, ServicePort, ServicePortName
from tests.unit.agent import fakes

NAME = ServicePortName("default", "app1")
TCP, UDP = (
    ServicePort(NAME, protocol, 8080, ipaddress.ip_address("10.96.20.1"), node_port=30062)
    for protocol in ("TCP", "UDP")
)


class Bench:
    """Makes proxies for the endpoints that a test has; closes them afterwards."""

    def __init__(self) -> None:
        self.running = fakes.RunningLoop()
        self.tally = tally.Tally()
        self.book = journal.Journal(self.tally)
        self.door = acceptor.Acceptor()
        self._proxies: list[Any] = []

    def rotation(self, *endpoints: Endpoint) -> balancer.Balancer:
        made = balancer.Balancer(shuffle=lambda _: None)
        made.set_endpoints(endpoints)
        return made

    def tcp(self, *endpoints: Endpoint) -> tuple[str, int]:
        listener = sockets.listen_tcp("127.0.0.1", 0)
        rotation = self.rotation(*endpoints)
        proxy = self.running.do(
            lambda: tcp.TcpProxy(self.running.loop, self.door, listener, TCP, rotation, self.book)
        )
        self._proxies.append(proxy)
        return "127.0.0.1", proxy.port

    def udp(
        self,
        rotation: balancer.Balancer,
        *,
        idle_s: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> udp.UdpProxy:
        sock = sockets.bind_udp("127.0.0.1", 0)
        proxy: udp.UdpProxy = self.running.do(
            lambda: udp.UdpProxy(
                self.running.loop, sock, UDP, rotation, self.book, idle_s=idle_s, clock=clock
            )
        )
        self._proxies.append(proxy)
        return proxy

    def close_proxies(self) -> None:
        for proxy in self._proxies:
            self.running.do(proxy.close)
        self._proxies.clear()

    def close(self) -> None:
        """A connection is over when both ends have said so: that may take a moment."""
        self.running.until(lambda: self.tally.active_connections == 0)
        self.close_proxies()
        self.running.close()
        self.door.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with contextlib.closing(Bench()) as made:
        yield made


@pytest.fixture
def closed_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
