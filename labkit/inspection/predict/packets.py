"""The first packet of a connection, and a machine as netfilter's matches can ask about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from labkit.model import rules

#: The name of an interface that nobody has read. It is none of those that have a name here.
UNREAD = "?"
EVERYWHERE = IPv4Network("0.0.0.0/0")
_LOOPBACK = IPv4Network("127.0.0.0/8")
_MULTICAST = IPv4Network("224.0.0.0/4")


@dataclass(frozen=True, slots=True)
class Packet:
    """Only the first packet of a connection meets the nat table, so `state` begins as NEW.

    `arrives_by` and `leaves_by` are interfaces; empty: it does not come from, or go to, any.
    """

    protocol: str
    source: IPv4Address
    destination: IPv4Address
    port: int
    source_port: int = 40000
    arrives_by: str = ""
    leaves_by: str = ""
    mark: int = 0
    states: frozenset[str] = frozenset({"NEW"})

    def __str__(self) -> str:
        return f"{self.protocol} {self.source} -> {self.destination}:{self.port}"


@dataclass(frozen=True, slots=True)
class Interface:
    """`network` is what is reached by it directly. `is_bridge`: what comes in came by a port."""

    name: str
    address: IPv4Address
    network: IPv4Network
    is_bridge: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """A node. The first interface is that towards all other networks."""

    name: str
    rules: rules.Ruleset
    interfaces: Sequence[Interface]
    #: Addresses of its own that are on none of these interfaces.
    further: frozenset[IPv4Address] = field(default_factory=frozenset)

    def is_local(self, address: IPv4Address) -> bool:
        own = {interface.address for interface in self.interfaces} | self.further
        return address in _LOOPBACK or address in own

    def kind_of(self, address: IPv4Address) -> str:
        """What `-m addrtype` calls it."""
        if self.is_local(address):
            return "LOCAL"
        if address in _MULTICAST:
            return "MULTICAST"
        edges = {interface.network.broadcast_address for interface in self.interfaces}
        return "BROADCAST" if address in edges else "UNICAST"

    def route(self, address: IPv4Address) -> Interface:
        """By which interface a packet to `address` leaves, if it leaves."""
        near = [one for one in self.interfaces if address in one.network]
        return max(near, key=lambda one: one.network.prefixlen, default=self.interfaces[0])

    def interface(self, name: str) -> Interface | None:
        return next((one for one in self.interfaces if one.name == name), None)
