"""Which way in a client took: pure, from two addresses.

What it asked for tells which portal, and where it stands tells which hook its packets met:

    asked for                        way            from a pod, or outside     from the node itself
    clusterIP:port                   clusterIP      KUBE-PORTALS-CONTAINER     KUBE-PORTALS-HOST
    an externalIP:port               externalIP     KUBE-PORTALS-CONTAINER     KUBE-PORTALS-HOST
    an address of a balancer:port    loadBalancer   KUBE-PORTALS-CONTAINER     KUBE-PORTALS-HOST
    an address of the node:nodePort  nodePort       KUBE-NODEPORT-CONTAINER    KUBE-NODEPORT-HOST
    the proxy port itself            proxyPort      no rule was needed
"""

from __future__ import annotations

import ipaddress
from collections.abc import Set
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

from labkit.model import proxying

Address = tuple[str, int]
Way = Literal["clusterIP", "externalIP", "loadBalancer", "nodePort", "proxyPort", "unknown"]
Origin = Literal["host", "pod", "outside", "pod or outside"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What tells places apart: the node's own addresses, and the network of all pods, if known."""

    local: Set[proxying.IPAddress] = frozenset()
    pods: IPv4Network | None = None


def find_origin(client: str, around: Surroundings) -> Origin:
    """Where a client stands: on this node, in a pod, or elsewhere."""
    address = ipaddress.ip_address(client)
    if address in around.local or address.is_loopback:
        return "host"
    if around.pods is None:
        return "pod or outside"
    return "pod" if address in around.pods else "outside"


def find_way(
    service_port: proxying.ServicePort, asked: Address | None, around: Surroundings
) -> Way:
    """The portal that a client asked at. A Service's own addresses come first, as in the rules."""
    if asked is None:
        return "unknown"
    address, port = ipaddress.ip_address(asked[0]), asked[1]
    if port == service_port.port:
        if address == service_port.cluster_ip:
            return "clusterIP"
        if address in service_port.external_ips:
            return "externalIP"
        if address in service_port.ingress_ips:
            return "loadBalancer"
    if address in around.local or address.is_loopback:
        return "nodePort" if port == service_port.node_port else "proxyPort"
    return "unknown"


def find_chain(way: Way, origin: Origin) -> str:
    """The chain whose rule turned the packets; empty where none did, or nobody knows."""
    if way in ("proxyPort", "unknown"):
        return ""
    kind = "NODEPORT" if way == "nodePort" else "PORTALS"
    return f"KUBE-{kind}-{'HOST' if origin == 'host' else 'CONTAINER'}"
