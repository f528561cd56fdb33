"""Service addresses and node ports: who has which, and which is free.

There is no second book. What is taken is what the stored Services say, kept in an index that
follows every write; so nothing leaks, a restart changes nothing, and a deleted Service's port is
free at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from labkit.apiserver import validation, watching
from labkit.apiserver.kinds import service_policies
from labkit.model import resources

#: Tried at random before the scan from the beginning.
_GUESSES = 16
_HEALTH_CHECK = "spec.healthCheckNodePort"


@dataclass(frozen=True, slots=True)
class Ranges:
    """`--service-cluster-ip-range` and `--service-node-port-range` (both ends belong to it)."""

    addresses: IPv4Network
    node_ports: tuple[int, int]


def cluster_ips(service: resources.Object) -> list[str]:
    """The addresses that a Service holds: none when it is headless or an ExternalName."""
    found = service["spec"].get("clusterIPs", [])
    return [address for address in found if address and address != "None"]


def node_ports(service: resources.Object) -> Iterator[tuple[str, int]]:
    """The (protocol, node port) pairs that a Service holds."""
    for port in service["spec"].get("ports", []):
        if port.get("nodePort"):
            yield port.get("protocol", "TCP"), port["nodePort"]
    if number := service["spec"].get("healthCheckNodePort"):
        yield "TCP", number


class Allocator:
    """Gives a Service the addresses and ports that it needs, or says why it cannot have them."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._addresses: set[str] = set()
        self._ports: set[tuple[str, int]] = set()

    def observe(self, change: watching.Change) -> None:
        """Follow the store: forget what a Service held before, note what it holds now."""
        if change.before:
            self._addresses -= set(cluster_ips(change.before.object))
            self._ports -= set(node_ports(change.before.object))
        if change.type != "DELETED":
            self._addresses |= set(cluster_ips(change.after.object))
            self._ports |= set(node_ports(change.after.object))

    def assign(
        self, service: resources.Object, old: resources.Object | None, report: validation.Report
    ) -> None:
        """Complete `service` in place; `old` is what it holds already. Trouble goes to `report`."""
        spec = service["spec"]
        if spec["type"] == "ExternalName":
            return
        self._assign_address(spec, set(cluster_ips(old)) if old else set(), report)
        if spec["type"] in ("NodePort", "LoadBalancer"):
            taken = self._ports - (set(node_ports(old)) if old else set())
            if number := spec.get("healthCheckNodePort"):
                self._claim(("TCP", number), taken, _HEALTH_CHECK, report)
            self._assign_ports(spec, taken, report)
            if service_policies.is_health_checked(spec):
                self._draw_health_check(spec, taken, report)

    def _assign_address(
        self, spec: resources.Object, held: set[str], report: validation.Report
    ) -> None:
        wanted = spec.get("clusterIPs") or [""]
        if wanted[0] == "None":
            return
        if not wanted[0]:
            wanted = [self._free_address()]
            if not wanted[0]:
                detail = "failed to allocate a serviceIP: range is full"
                report.invalid("spec.clusterIPs", [], detail)
        elif why := self._refusal(wanted[0], held):
            detail = f"failed to allocate IP {wanted[0]}: {why}"
            report.invalid("spec.clusterIPs", wanted, detail)
        spec["clusterIPs"], spec["clusterIP"] = wanted, wanted[0]

    def _refusal(self, address: str, held: set[str]) -> str:
        network = self._ranges.addresses
        edges = (network.network_address, network.broadcast_address)
        if address in held:
            return ""
        if IPv4Address(address) not in network or IPv4Address(address) in edges:
            return (
                f"the provided IP ({address}) is not in the valid range. "
                f"The range of valid IPs is {network}"
            )
        return "provided IP is already allocated" if address in self._addresses else ""

    def _free_address(self) -> str:
        network = self._ranges.addresses
        first, last = 1, network.num_addresses - 2
        for offset in _candidates(first, last):
            address = str(network[offset])
            if address not in self._addresses:
                return address
        return ""

    def _assign_ports(
        self, spec: resources.Object, taken: set[tuple[str, int]], report: validation.Report
    ) -> None:
        """Ports that were asked for come first, so that none of them is given away meanwhile."""
        ports = list(enumerate(spec.get("ports", [])))
        for index, port in ports:
            if number := port.get("nodePort"):
                held = (port["protocol"], number)
                self._claim(held, taken, f"spec.ports[{index}].nodePort", report)
        if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
            return
        for index, port in ports:
            if not port.get("nodePort"):
                self._draw(port, spec["ports"], taken, f"spec.ports[{index}].nodePort", report)

    def _draw_health_check(
        self, spec: resources.Object, taken: set[tuple[str, int]], report: validation.Report
    ) -> None:
        if not spec.get("healthCheckNodePort"):
            port: resources.Object = {"protocol": "TCP"}
            self._draw(port, [], taken, _HEALTH_CHECK, report)
            spec["healthCheckNodePort"] = port.get("nodePort", 0)

    def _claim(
        self,
        wanted: tuple[str, int],
        taken: set[tuple[str, int]],
        path: str,
        report: validation.Report,
    ) -> None:
        number, (low, high) = wanted[1], self._ranges.node_ports
        if not low <= number <= high:
            detail = (
                f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
            )
            report.invalid(path, number, detail)
        elif wanted in taken:
            report.invalid(path, number, "provided port is already allocated")
        taken.add(wanted)

    def _draw(
        self,
        port: resources.Object,
        ports: list[resources.Object],
        taken: set[tuple[str, int]],
        path: str,
        report: validation.Report,
    ) -> None:
        """One number serves TCP and UDP of the same `port`, as people expect of DNS."""
        for other in ports:
            number = other.get("nodePort")
            twin = other["port"] == port["port"] and number
            if twin and (port["protocol"], number) not in taken:
                port["nodePort"] = number
        for number in _candidates(*self._ranges.node_ports):
            if port.get("nodePort"):
                break
            if not any(held == number for _, held in taken):
                port["nodePort"] = number
        if not port.get("nodePort"):
            report.add("InternalError", path, "Internal error", "range is full")
            return
        taken.add((port["protocol"], port["nodePort"]))


def _candidates(first: int, last: int) -> Iterator[int]:
    """Some at random, so that numbers are not reused at once; then all, so that none is missed."""
    for _ in range(_GUESSES):
        yield random.randint(first, last)  # noqa: S311 - nothing depends on its being secret
    yield from range(first, last + 1)
