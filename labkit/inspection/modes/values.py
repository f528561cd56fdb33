"""A port of a Service as the rules know it: by which doors one gets in, and what is behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["userspace", "iptables"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where traffic ends. `share` is of all new connections, from 0 to 1."""

    address: str
    chain: str
    share: float
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Door:
    """One rule that takes packets for the Service.

    `address` is empty for a nodePort, which is open at every address of the node. `when` are the
    conditions besides; `masquerade` says which packets leave with the node's own address.
    """

    kind: str
    address: str
    port: int
    protocol: str
    chain: str
    leads_to: str
    packets: int
    bytes: int
    text: str
    when: str = ""
    masquerade: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    #: Why there are none, where there are none.
    refused: str = ""
    #: Who listens on the proxy port that the rule leads to; only where sockets were read, too.
    listener: str = ""

    @property
    def dialled(self) -> str:
        return f"{self.address or 'any address of the node'}:{self.port}"


@dataclass(frozen=True, slots=True)
class TreeRule:
    """A rule of the tree behind the doors. `share` is what reaches its target, of all traffic.

    None: only packets that are like something, and how many those are is not in the rules.
    """

    depth: int
    chain: str
    text: str
    packets: int
    share: float | None


@dataclass(frozen=True, slots=True)
class PortRules:
    """All rules of `namespace/name:port`. `affinity_s`: a client keeps its pod for so long."""

    name: str
    mode: Mode
    affinity_s: int
    doors: tuple[Door, ...]
    tree: tuple[TreeRule, ...] = ()

    @property
    def service(self) -> str:
        return self.name.partition(":")[0]
