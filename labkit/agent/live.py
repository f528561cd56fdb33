"""The service ports that are being served: their sockets, their claims, their rules.

A service port lives through these steps, and always in this order, so that no rule ever names a
proxy port at which nobody listens:

    open a proxy socket ──▶ claim the node's ports ──▶ plan the rules
    ... the rules are in the kernel; the Service changes: new claims and rules, the same socket ...
    retire: the rules go first ──▶ close the socket, give the port back
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from labkit.agent import balancer, claims, ports, state
from labkit.model import portals, proxying, rules

log = logging.getLogger(__name__)

#: Rules by chain.
WantedRules = Mapping[str, Sequence[rules.Rule]]
FindEndpoints = Callable[[proxying.ServicePortName], Sequence[proxying.Endpoint]]


class ProxySocket(Protocol):
    """What listens on a proxy port: a TcpProxy or a UdpProxy."""

    port: int
    #: As it is now. The journal writes down at which addresses one could ask for it.
    service_port: proxying.ServicePort

    def close(self) -> None: ...

    def drain(self) -> None:
        """Begin nothing new; what is open goes on."""
        ...

    def endpoints_changed(self) -> None: ...


#: Opens the socket of a service port at a proxy port (0: any). Raises OSError.
OpenProxy = Callable[[proxying.ServicePort, balancer.Balancer, int], ProxySocket]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the proxy listens, and which address stands for the node in DNAT rules."""

    listen_ip: proxying.IPAddress
    host_ip: proxying.IPAddress


@dataclass(slots=True)
class LivePort:
    """A service port that is being served."""

    service_port: proxying.ServicePort
    proxy: ProxySocket
    balancer: balancer.Balancer
    #: The number from the allocator, which is 0 where the kernel chose.
    allocated: int
    #: What the rules were planned for: the service port without what it was refused.
    granted: proxying.ServicePort | None = None
    rules: tuple[portals.PortalRule, ...] = ()


class LivePorts:
    """All of them, in the order in which they were opened, which is the order of their rules."""

    def __init__(
        self,
        open_proxy: OpenProxy,
        claimed: claims.Claims,
        allocator: ports.PortAllocator,
        addresses: Addresses,
    ) -> None:
        self._open_proxy = open_proxy
        self._claims = claimed
        self._allocator = allocator
        self._addresses = addresses
        self._live: dict[proxying.ServicePortName, LivePort] = {}
        self._retired: list[LivePort] = []
        self._turned: dict[tuple[str, int], int] = {}

    def __len__(self) -> int:
        return len(self._live)

    def get(self, name: proxying.ServicePortName) -> LivePort | None:
        return self._live.get(name)

    def update(
        self, wanted: Iterable[proxying.ServicePort], endpoints: FindEndpoints
    ) -> Iterator[str]:
        """Open, change and retire. Yields what could not be done: it is tried again next time."""
        changes = state.plan_changes({n: p.service_port for n, p in self._live.items()}, wanted)
        for name in changes.closed:
            self._retired.append(retired := self._live.pop(name))
            self._turn(retired.service_port, 0)
        for service_port in changes.changed:
            entry = self._live[service_port.name]
            self._turn(entry.service_port, 0)
            self._turn(service_port, entry.proxy.port)
            entry.service_port = entry.proxy.service_port = service_port
            entry.balancer.set_affinity(service_port.affinity_timeout_s)
        for service_port in changes.opened:
            try:
                entry = self._live[service_port.name] = self._open(service_port, endpoints)
            except (OSError, ports.PortsExhausted) as error:
                yield f"{service_port.name}: no proxy port: {error}"
            else:
                self._turn(service_port, entry.proxy.port)

    def settle(self, local: Set[proxying.IPAddress]) -> Iterator[str]:
        """Claim ports of the node, whose addresses are `local`, and plan the rules.

        Yields what was refused: that part of a Service gets no rules.
        """
        refusals = self._claims.settle(
            (name, claim)
            for name, entry in self._live.items()
            for claim in claims.claims_of(entry.service_port, local)
        )
        refused: dict[proxying.ServicePortName, set[claims.Claim]] = {}
        for refusal in refusals:
            refused.setdefault(refusal.owner, set()).add(refusal.claim)
            yield str(refusal)
        for name, entry in self._live.items():
            self._plan_rules(entry, refused.get(name, frozenset()))

    def wanted_rules(self) -> WantedRules:
        wanted: dict[str, list[rules.Rule]] = {chain.name: [] for chain in portals.CHAINS}
        for entry in self._live.values():
            for planned in entry.rules:
                wanted[planned.rule.chain].append(planned.rule)
        return wanted

    def expire_affinity(self) -> None:
        for entry in self._live.values():
            entry.balancer.expire()

    def close_retired(self) -> tuple[LivePort, ...]:
        """To be called when no rule names them any more. Returns those that were closed."""
        retired, self._retired = tuple(self._retired), []
        for entry in retired:
            entry.proxy.close()
            self._allocator.release(entry.allocated)
        return retired

    def take_turned(self, local: Iterable[proxying.IPAddress]) -> Mapping[tuple[str, int], int]:
        """Where UDP clients are led differently since this was asked last, and to which proxy port.

        0 is where nobody serves any more. A nodePort is at each of the `local` addresses.
        """
        turned, self._turned = self._turned, {}
        node = [str(address) for address in local]
        return {
            (address, port): proxy_port
            for (ip, port), proxy_port in turned.items()
            for address in ([ip] if ip else node)
        }

    def __iter__(self) -> Iterator[LivePort]:
        return iter(tuple(self._live.values()))

    @property
    def held(self) -> claims.Claims:
        """The ports of the node that are held."""
        return self._claims

    def drain(self) -> None:
        """Begin nothing new, and leave the node's ports to whoever comes next."""
        for entry in (*self._live.values(), *self._retired):
            entry.proxy.drain()
        self._claims.close()

    def close(self) -> None:
        """Close every socket, and leave the rules as they are."""
        for entry in (*self._live.values(), *self._retired):
            entry.proxy.close()
        self._claims.close()

    def _turn(self, service_port: proxying.ServicePort, proxy_port: int) -> None:
        if service_port.protocol == "UDP":
            self._turned.update(dict.fromkeys(service_port.portals, proxy_port))

    def _open(self, service_port: proxying.ServicePort, endpoints: FindEndpoints) -> LivePort:
        rotation = balancer.Balancer()
        rotation.set_affinity(service_port.affinity_timeout_s)
        rotation.set_endpoints(endpoints(service_port.name))
        allocated = self._allocator.allocate()
        try:
            proxy = self._open_proxy(service_port, rotation, allocated)
        except OSError:
            self._allocator.release(allocated)
            raise
        log.info("%s: proxy port %d/%s", service_port.name, proxy.port, service_port.protocol)
        return LivePort(service_port, proxy, rotation, allocated)

    def _plan_rules(self, entry: LivePort, refused: Set[claims.Claim]) -> None:
        """Plan only what is not planned already: there may be thousands."""
        granted = claims.without(entry.service_port, refused)
        if granted == entry.granted:
            return
        entry.granted = granted
        entry.rules = ()
        if granted:
            entry.rules = portals.plan_portal(
                granted,
                entry.proxy.port,
                listen_ip=self._addresses.listen_ip,
                host_ip=self._addresses.host_ip,
            )
