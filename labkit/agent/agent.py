"""The agent put together: the one place that makes the parts and joins them."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TypeVar

from labkit.agent import (
    acceptor,
    addresses,
    balancer,
    claims,
    flags,
    generation,
    health,
    http,
    kernel,
    live,
    loop,
    ports,
    proxier,
    sockets,
    state,
    tally,
    tcp,
    udp,
)
from labkit.client import config as client_config
from labkit.client import watch
from labkit.model import proxying, resources

log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")


class Agent:
    """One kube-proxy: a loop, what runs in it, and two threads that listen to the API server."""

    def __init__(self, options: flags.Flags, host_ip: IPv4Address) -> None:
        self._options = options
        self._tally = tally.Tally()
        self._loop = loop.Loop()
        self._door = acceptor.Acceptor()
        self._proxier = proxier.Proxier(
            self._loop,
            live.LivePorts(
                self._open_proxy,
                claims.Claims(self._hold),
                ports.PortAllocator(options.port_range),
                live.Addresses(options.bind_address, host_ip),
            ),
            kernel.Kernel(),
            self._tally,
            addresses.read_local,
            sync_period_s=options.sync_period_s,
            min_sync_period_s=options.min_sync_period_s,
        )
        self._rule_watch = generation.Watch(self._loop, self._proxier.look_for_flush)
        self._servers = (
            http.Server(self._loop, self._door, options.healthz_address, self._answer_health),
            http.Server(self._loop, self._door, options.metrics_address, self._answer_metrics),
        )
        config = client_config.read_kubeconfig(options.kubeconfig)
        self._reflectors = (
            self._reflect(
                config, resources.SERVICES, proxying.parse_service, self._proxier.take_services
            ),
            self._reflect(
                config, resources.ENDPOINTS, proxying.parse_endpoints, self._proxier.take_endpoints
            ),
        )

    def run(self) -> None:
        """Serve until `stop`. The rules stay afterwards, for the process that comes next."""
        for reflector in self._reflectors:
            threading.Thread(target=reflector.run, daemon=True).start()
        log.info("%s: serving Services at %s", self._options.hostname, self._options.bind_address)
        self._loop.run()
        for reflector in self._reflectors:
            reflector.stop()
        self._rule_watch.close()
        self._proxier.close()
        for server in self._servers:
            server.close()
        self._door.close()
        log.info("stopped")

    def stop(self) -> None:
        """From any thread, or a signal."""
        self._loop.post(self._loop.stop)

    def _reflect(
        self,
        config: client_config.ClientConfig,
        resource: resources.Resource,
        parse: Callable[[resources.Object], Parsed],
        take: Callable[[state.News[Parsed]], None],
    ) -> watch.Reflector:
        """A watch that parses on its own thread, and hands what it has read to the loop's."""

        def on_change(change: watch.Change) -> None:
            news = state.digest(change, parse)
            self._loop.post(lambda: take(news))

        return watch.Reflector(
            config, resource, label_selector=proxying.SELECTOR, on_change=on_change
        )

    def _open_proxy(
        self, service_port: proxying.ServicePort, rotation: balancer.Balancer, port: int
    ) -> live.ProxySocket:
        address = str(self._options.bind_address)
        name = service_port.name
        if service_port.protocol == "UDP":
            return udp.UdpProxy(
                self._loop,
                sockets.bind_udp(address, port),
                name,
                rotation,
                self._tally,
                idle_s=self._options.udp_timeout_s,
            )
        listener = sockets.listen_tcp(address, port)
        return tcp.TcpProxy(self._loop, self._door, listener, name, rotation, self._tally)

    def _hold(self, claim: claims.Claim) -> claims.HeldPort:
        return claims.HeldPort(self._loop, self._door, claim)

    def _answer_health(self, path: str) -> http.Answer:
        timeout_s = 2 * self._options.sync_period_s
        return health.answer_health(path, self._tally, time.time(), timeout_s=timeout_s)

    def _answer_metrics(self, path: str) -> http.Answer:
        return health.answer_metrics(path, self._tally)


def find_host_ip(options: flags.Flags) -> IPv4Address:
    """The address that stands for this node. Raises OSError when there is no way to know."""
    if options.node_ip:
        return options.node_ip
    if not options.bind_address.is_unspecified:
        return options.bind_address
    return ipaddress.IPv4Address(sockets.detect_host_ip())
