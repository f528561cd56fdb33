"""The way to the pods of the other nodes: one route per node, to its pod network by its address.

    10.244.2.0/24 via 192.168.56.12 proto 76

They follow the Node objects: a node that joins gets its route, one that is deleted loses it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from labkit.model.resources import Object
from labkit.podlet import iproute

log = logging.getLogger(__name__)

#: The mark of ours: `ip route show proto 76` lists these routes and no others.
PROTOCOL = "76"


def plan_wanted(nodes: Iterable[Object], own_name: str) -> dict[str, str]:
    """Each other node's pod network, and the node that leads there."""
    routes = {}
    for node in nodes:
        network = node.get("spec", {}).get("podCIDR", "")
        gateway = internal_ip(node)
        if network and gateway and node["metadata"]["name"] != own_name:
            routes[network] = gateway
    return routes


def internal_ip(node: Object) -> str:
    for address in node.get("status", {}).get("addresses") or ():
        if address.get("type") == "InternalIP":
            return str(address["address"])
    return ""


def plan_changes(wanted: Mapping[str, str], actual: Mapping[str, str]) -> tuple[str, ...]:
    gone = tuple(
        f"route del {network} proto {PROTOCOL}" for network in actual if network not in wanted
    )
    new = tuple(
        f"route replace {network} via {gateway} proto {PROTOCOL}"
        for network, gateway in wanted.items()
        if actual.get(network) != gateway
    )
    return gone + new


def ensure(wanted: Mapping[str, str]) -> None:
    lines = plan_changes(wanted, actual())
    if lines:
        iproute.run(lines=lines, force=True)
        log.info("routes to other nodes' pods: %s", dict(wanted) or "none")


def actual() -> dict[str, str]:
    routes = iproute.ask("route", "show", "proto", PROTOCOL)
    return {route["dst"]: route.get("gateway", "") for route in routes}
