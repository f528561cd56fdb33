"""Claims: nobody else on the node may use a port whose packets the rules take away.

A nodePort rule catches every packet to that port, so a program that listened on it would wait in
vain. kube-proxy therefore binds the port itself. The same holds for a Service address that is also
an address of the node. Who comes first has the port; another Service that wants it gets no rules
for it, and asks again at every sync (US-32 to US-35).

Claims are settled as a whole: what is wanted is compared with what is held. So a claim cannot
outlive its owner, and nobody can release what is another's.
"""

from __future__ import annotations

import dataclasses
import logging
import select
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Protocol

from labkit.agent import acceptor, sockets
from labkit.agent import loop as event_loop
from labkit.model import proxying

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A port of the node: at one address, or at all of them (None, a nodePort)."""

    address: proxying.IPAddress | None
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.address or '*'}:{self.port}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a service port did not get what it wanted."""

    owner: proxying.ServicePortName
    claim: Claim
    why: str

    def __str__(self) -> str:
        return f"{self.owner}: {self.claim} cannot be opened: {self.why}"


def claims_of(
    service_port: proxying.ServicePort, local: Set[proxying.IPAddress]
) -> Iterator[Claim]:
    """What a service port needs of the node: `local` are the node's addresses."""
    addresses = (service_port.cluster_ip, *service_port.external_ips, *service_port.ingress_ips)
    for address in addresses:
        if address in local:
            yield Claim(address, service_port.port, service_port.protocol)
    if service_port.node_port:
        yield Claim(None, service_port.node_port, service_port.protocol)


def without(service_port: proxying.ServicePort, refused: Set[Claim]) -> proxying.ServicePort | None:
    """The service port without what it was refused; None when that is its clusterIP."""
    if not refused:
        return service_port
    addresses = {claim.address for claim in refused}
    if service_port.cluster_ip in addresses:
        return None
    return dataclasses.replace(
        service_port,
        external_ips=tuple(ip for ip in service_port.external_ips if ip not in addresses),
        ingress_ips=tuple(ip for ip in service_port.ingress_ips if ip not in addresses),
        node_port=0 if None in addresses else service_port.node_port,
    )


class Held(Protocol):
    """A port that is being held."""

    def close(self) -> None: ...


class Claims:
    """The ports that are held, each with its owner."""

    def __init__(self, hold: Callable[[Claim], Held]) -> None:
        self._hold = hold
        self._held: dict[Claim, tuple[proxying.ServicePortName, Held]] = {}

    def settle(
        self, wanted: Iterable[tuple[proxying.ServicePortName, Claim]]
    ) -> tuple[Refusal, ...]:
        """Hold what is wanted, and nothing else. What an owner has, it keeps."""
        asked = list(wanted)
        self._release_all_but(set(asked))
        return tuple(refusal for owner, claim in asked if (refusal := self._claim(owner, claim)))

    def __iter__(self) -> Iterator[tuple[Claim, proxying.ServicePortName]]:
        """What is held, and by whom."""
        return iter([(claim, owner) for claim, (owner, _) in self._held.items()])

    def close(self) -> None:
        self._release_all_but(set())

    def _release_all_but(self, kept: Set[tuple[proxying.ServicePortName, Claim]]) -> None:
        for claim, (owner, held) in list(self._held.items()):
            if (owner, claim) not in kept:
                del self._held[claim]
                held.close()

    def _claim(self, owner: proxying.ServicePortName, claim: Claim) -> Refusal | None:
        if claim in self._held:
            holder = self._held[claim][0]
            return None if holder == owner else Refusal(owner, claim, f"it is {holder}'s")
        try:
            self._held[claim] = (owner, self._hold(claim))
        except OSError as error:
            return Refusal(owner, claim, error.strerror or str(error))
        return None


class HeldPort:
    """A socket that is bound so that nobody else can be.

    Packets reach it only where a rule is missing. kube-proxy lets such a client wait for ever;
    here it is told at once that nobody is there.
    """

    def __init__(self, loop: event_loop.Loop, door: acceptor.Acceptor, claim: Claim) -> None:
        """Raises OSError when somebody else has the port."""
        self._loop = loop
        address = str(claim.address or "0.0.0.0")
        if claim.protocol == "UDP":
            self._sock = sockets.bind_udp(address, claim.port)
            return
        self._sock = listener = sockets.listen_tcp(address, claim.port)
        loop.add(listener.fileno(), select.EPOLLIN, lambda _: door.accept(listener, _turn_away))

    def close(self) -> None:
        self._loop.remove(self._sock.fileno())
        self._sock.close()


def _turn_away(client: sockets.Plain, address: tuple[str, int]) -> None:
    log.debug("resetting the connection of %s: no rule has caught it", address[0])
    sockets.reset(client)
