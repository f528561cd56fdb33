"""The agent put together: the one place that makes the parts and joins them."""

from __future__ import annotations

import ipaddress
import logging
import signal
import threading
import time
import urllib.parse
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
    journal,
    kernel,
    live,
    loop,
    ports,
    proxier,
    server,
    sockets,
    state,
    tally,
    tcp,
    udp,
    ways,
)
from labkit.client import config as client_config
from labkit.client import watch
from labkit.model import proxying, resources

log = logging.getLogger(__name__)

#: What `/proxyMode` says.
MODE = "userspace"

Parsed = TypeVar("Parsed")


class Agent:
    """One kube-proxy: a loop, what runs in it, and two threads that listen to the API server."""

    def __init__(self, options: flags.Flags, host_ip: IPv4Address) -> None:
        self._options = options
        self._tally = tally.Tally()
        self._book = journal.Journal(self._tally)
        self._around = ways.Surroundings(pods=options.cluster_cidr)
        self._stopping = False
        self._loop = loop.Loop()
        self._door = acceptor.Acceptor()
        self._live = live.LivePorts(
            self._open_proxy,
            claims.Claims(self._hold),
            ports.PortAllocator(options.port_range),
            live.Addresses(options.bind_address, host_ip),
        )
        self._proxier = proxier.Proxier(
            self._loop,
            self._live,
            kernel.Kernel(),
            self._tally,
            self._read_local,
            sync_period_s=options.sync_period_s,
            min_sync_period_s=options.min_sync_period_s,
        )
        self._rule_watch = generation.Watch(self._loop, self._proxier.look_for_flush)
        self._servers = (
            server.Server(self._loop, self._door, options.healthz_address, self._answer_health),
            server.Server(self._loop, self._door, options.metrics_address, self._answer_metrics),
        )
        config = client_config.read_kubeconfig(options.kubeconfig)
        self._api_host = urllib.parse.urlsplit(config.server).netloc
        self._reflectors = (
            self._reflect(
                config, resources.SERVICES, proxying.parse_service, self._proxier.take_services
            ),
            self._reflect(
                config, resources.ENDPOINTS, proxying.parse_endpoints, self._proxier.take_endpoints
            ),
        )

    def run(self) -> None:
        """Serve until SIGTERM. The rules stay afterwards, for the process that comes next."""
        self._loop.on_signals((signal.SIGTERM, signal.SIGINT), self._drain)
        for reflector in self._reflectors:
            threading.Thread(target=reflector.run, daemon=True).start()
        log.info("%s: serving Services at %s", self._options.hostname, self._options.bind_address)
        self._loop.run()
        if left := len(self._book.open()):
            log.info("resetting what is still open: %d", left)
        self._book.cut_all("stopping")
        self._proxier.close()
        for each in self._servers:
            each.close()
        self._door.close()
        log.info("stopped")

    def _drain(self) -> None:
        """Begin nothing new, and end when all that is open is over, or its time is.

        Asked a second time: end now.
        """
        if self._stopping:
            self._loop.stop()
            return
        self._stopping = True
        for reflector in self._reflectors:
            reflector.stop()
        self._rule_watch.close()
        self._proxier.drain()
        limit_s = self._options.drain_timeout_s
        log.info("stopping: %d open, for at most %g s", len(self._book.open()), limit_s)
        self._loop.later(limit_s, self._loop.stop)
        self._book.when_quiet(self._loop.stop)

    def _read_local(self) -> frozenset[proxying.IPAddress]:
        """The node's addresses now; the journal tells clients apart by them."""
        local = addresses.read_local()
        self._around = ways.Surroundings(local, self._options.cluster_cidr)
        return local

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

        def on_answer(status: int) -> None:
            word = str(status or "<error>")  # kube-proxy's word for no answer at all
            self._loop.post(lambda: self._tally.requests.update([word]))

        return watch.Reflector(
            config,
            resource,
            label_selector=proxying.SELECTOR,
            on_change=on_change,
            on_answer=on_answer,
        )

    def _open_proxy(
        self, service_port: proxying.ServicePort, rotation: balancer.Balancer, port: int
    ) -> live.ProxySocket:
        address = str(self._options.bind_address)
        if service_port.protocol == "UDP":
            return udp.UdpProxy(
                self._loop,
                sockets.bind_udp(address, port),
                service_port,
                rotation,
                self._book,
                idle_s=self._options.udp_timeout_s,
            )
        listener = sockets.listen_tcp(address, port)
        return tcp.TcpProxy(self._loop, self._door, listener, service_port, rotation, self._book)

    def _hold(self, claim: claims.Claim) -> claims.HeldPort:
        return claims.HeldPort(self._loop, self._door, claim)

    def _answer_health(self, request: http.Request) -> http.Answer:
        return health.answer_health(
            request,
            self._tally,
            time.time(),
            timeout_s=2 * self._options.sync_period_s,
            stopping=self._stopping,
        )

    def _answer_metrics(self, request: http.Request) -> http.Answer | http.Stream:
        """What is seldom asked for is imported only then: that spares every node memory."""
        match request.path:
            case "/proxyMode":
                return http.Answer(MODE)
            case "/healthz" | "/healthz/ping":
                return http.Answer("ok")
            case "/metrics":
                from labkit.agent import metrics

                text = metrics.render_metrics(self._book, api_host=self._api_host)
                return http.Answer(text, content_type=metrics.CONTENT_TYPE)
            case _:
                from labkit.agent import debug

                node = self._options.hostname
                return debug.Debug(node, self._book, self._live, self._around).answer(request)


def find_host_ip(options: flags.Flags) -> IPv4Address:
    """The address that stands for this node. Raises OSError when there is no way to know."""
    if options.node_ip:
        return options.node_ip
    if not options.bind_address.is_unspecified:
        return options.bind_address
    return ipaddress.IPv4Address(sockets.detect_host_ip())
