"""The chains of kube-proxy's userspace mode: who reaches them, and which rules stand in them.

A *portal* is an address and port at which clients ask for a Service. Nobody listens there. Rules
catch the packets and turn them to the *proxy port*, where the kube-proxy process does listen:

    client ──▶ portal 10.96.20.1:8080 ──rule──▶ proxy port 192.168.56.11:40193 ──▶ pod

The same portal needs a rule in two chains, because packets meet different hooks: those that
*arrive* at the node (from its pods, which have their own network stack, and from other machines)
pass PREROUTING; those that a process of the node itself *sends* pass OUTPUT.

Everything here is data: CHAINS says what exists, PORTALS which rules a portal of each kind has.
`plan_portal` only fills in a Service's numbers. The texts are letter by letter what `iptables-save`
prints for kube-proxy 1.20, so that a kernel's rules can be compared with a plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from labkit.model import proxying, rules

_CLUSTER_IPS = "handle ClusterIPs; NOTE: this must be before the NodePort rules"
_NODE_PORTS = "handle service NodePorts; NOTE: this must be the last rule in the chain"
_NON_LOCAL = "Ensure that non-local NodePort traffic can flow"
_LOCAL = "-m addrtype --dst-type LOCAL"
_NOT_BRIDGED = "-m physdev ! --physdev-is-in"


@dataclass(frozen=True, slots=True)
class PortalChain:
    """A chain of kube-proxy's own, and the jump by which packets get into it from a hook."""

    table: str
    name: str
    hook: str
    #: The jump's matches and comment.
    condition: str
    #: Where the jump stands in the hook's chain. Service addresses have to be asked for first: a
    #: nodePort rule takes any local address, and a cloud's balancer address may look local.
    position: Literal["first", "last"]
    reached_by: str
    service_field: str

    @property
    def jump(self) -> rules.Rule:
        return rules.Rule(self.hook, f"{self.condition} -j {self.name}")


CHAINS = (
    PortalChain(
        table="nat",
        name="KUBE-PORTALS-CONTAINER",
        hook="PREROUTING",
        condition=f"-m comment --comment {rules.quote(_CLUSTER_IPS)}",
        position="first",
        reached_by="Packets that arrive at the node, from its own pods or from other machines, "
        "and are addressed to a Service's own address.",
        service_field="spec.clusterIP and spec.ports[].port",
    ),
    PortalChain(
        table="nat",
        name="KUBE-PORTALS-HOST",
        hook="OUTPUT",
        condition=f"-m comment --comment {rules.quote(_CLUSTER_IPS)}",
        position="first",
        reached_by="Packets that a process of the node itself sends to a Service's own address.",
        service_field="spec.clusterIP and spec.ports[].port",
    ),
    PortalChain(
        table="nat",
        name="KUBE-NODEPORT-CONTAINER",
        hook="PREROUTING",
        condition=f"{_LOCAL} -m comment --comment {rules.quote(_NODE_PORTS)}",
        position="last",
        reached_by="Packets that arrive at the node, from its own pods or from other machines, "
        "and are addressed to one of the node's addresses.",
        service_field="spec.ports[].nodePort",
    ),
    PortalChain(
        table="nat",
        name="KUBE-NODEPORT-HOST",
        hook="OUTPUT",
        condition=f"{_LOCAL} -m comment --comment {rules.quote(_NODE_PORTS)}",
        position="last",
        reached_by="Packets that a process of the node itself sends to one of the node's own "
        "addresses.",
        service_field="spec.ports[].nodePort",
    ),
    PortalChain(
        table="filter",
        name="KUBE-NODEPORT-NON-LOCAL",
        hook="INPUT",
        condition=f"-m comment --comment {rules.quote(_NON_LOCAL)}",
        position="first",
        reached_by="Packets on their way into a process of the node: a nodePort's traffic, already "
        "turned to the proxy port, passes even where the policy of INPUT is to drop.",
        service_field="spec.ports[].nodePort",
    ),
)

Side = Literal["container", "host", "accept"]


@dataclass(frozen=True, slots=True)
class RuleShape:
    """One line of the table of portal rules: the chain, what it asks besides, how it ends."""

    table: str
    chain: str
    side: Side
    extra: str = ""


_CONTAINER = RuleShape("nat", "KUBE-PORTALS-CONTAINER", "container")
_HOST = RuleShape("nat", "KUBE-PORTALS-HOST", "host")

#: The rules of a portal, by the field of the Service that asks for it, in the order of writing.
PORTALS: dict[str, tuple[RuleShape, ...]] = {
    "spec.clusterIP": (_CONTAINER, _HOST),
    "spec.externalIPs": (
        RuleShape("nat", "KUBE-PORTALS-CONTAINER", "container", _NOT_BRIDGED),
        RuleShape("nat", "KUBE-PORTALS-CONTAINER", "container", _LOCAL),
        RuleShape("nat", "KUBE-PORTALS-HOST", "host", _LOCAL),
    ),
    "status.loadBalancer.ingress": (_CONTAINER, _HOST),
    "spec.ports.nodePort": (
        RuleShape("nat", "KUBE-NODEPORT-CONTAINER", "container"),
        RuleShape("nat", "KUBE-NODEPORT-HOST", "host"),
        RuleShape("filter", "KUBE-NODEPORT-NON-LOCAL", "accept", "-m state --state NEW"),
    ),
}


@dataclass(frozen=True, slots=True)
class PortalRule:
    """A rule, the table it belongs to, and the field of the Service that it comes from."""

    table: str
    rule: rules.Rule
    service_field: str


def chain(name: str) -> PortalChain | None:
    """The entry of CHAINS with this name; None for a chain that is not kube-proxy's."""
    return next((entry for entry in CHAINS if entry.name == name), None)


def plan_portal(
    service_port: proxying.ServicePort,
    proxy_port: int,
    *,
    listen_ip: proxying.IPAddress,
    host_ip: proxying.IPAddress,
) -> tuple[PortalRule, ...]:
    """Every rule of one service port, in kube-proxy's order (US-26, US-28).

    Addresses of another family than `listen_ip` get no rule.
    """
    targets = {
        "container": _container_target(proxy_port, listen_ip),
        "host": _host_target(proxy_port, listen_ip, host_ip),
        "accept": "-j ACCEPT",
    }
    planned = []
    for service_field, address in _portals(service_port):
        if address and address.version != listen_ip.version:
            continue
        for shape in PORTALS[service_field]:
            port = _port_asked_for(service_port, proxy_port, shape, address)
            spec = _spec(service_port, address, port, shape.extra, targets[shape.side])
            rule = rules.Rule(shape.chain, spec)
            planned.append(PortalRule(shape.table, rule, service_field))
    return tuple(planned)


def _portals(
    service_port: proxying.ServicePort,
) -> Iterator[tuple[str, proxying.IPAddress | None]]:
    """Each portal with its address; a nodePort is open at every address of the node: None."""
    yield "spec.clusterIP", service_port.cluster_ip
    for address in service_port.external_ips:
        yield "spec.externalIPs", address
    for address in service_port.ingress_ips:
        yield "status.loadBalancer.ingress", address
    if service_port.node_port:
        yield "spec.ports.nodePort", None


def _port_asked_for(
    service_port: proxying.ServicePort,
    proxy_port: int,
    shape: RuleShape,
    address: proxying.IPAddress | None,
) -> int:
    """INPUT comes after nat, so the filter rule sees the proxy port where a client wrote 30062."""
    if shape.side == "accept":
        return proxy_port
    return service_port.port if address else service_port.node_port


def _spec(
    service_port: proxying.ServicePort,
    address: proxying.IPAddress | None,
    port: int,
    extra: str,
    target: str,
) -> str:
    protocol = service_port.protocol.lower()
    parts = [
        f"-d {address}/{address.max_prefixlen}" if address else "",
        f"-p {protocol} -m comment --comment {rules.quote(str(service_port.name))}",
        f"-m {protocol} --dport {port}",
        extra,
        target,
    ]
    return " ".join(part for part in parts if part)


def _container_target(proxy_port: int, listen_ip: proxying.IPAddress) -> str:
    """REDIRECT turns to the address of the interface by which the packet came in.

    So the answer leaves from the address that the client's connection tracking expects.
    """
    if listen_ip.is_unspecified:
        return f"-j REDIRECT --to-ports {proxy_port}"
    return _dnat(listen_ip, proxy_port)


def _host_target(
    proxy_port: int, listen_ip: proxying.IPAddress, host_ip: proxying.IPAddress
) -> str:
    """DNAT to a real address of the node.

    For a packet that the node itself sends, REDIRECT would mean loopback, and the answer would
    come from another address than was asked.
    """
    return _dnat(host_ip if listen_ip.is_unspecified else listen_ip, proxy_port)


def _dnat(address: proxying.IPAddress, port: int) -> str:
    host = f"[{address}]" if address.version == 6 else f"{address}"
    return f"-j DNAT --to-destination {host}:{port}"
