"""Ask about a Service: who sends, what is dialled, and the lab as it is now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from labkit import errors
from labkit.inspection import collect, nodes
from labkit.inspection.predict import journey, packets, report
from labkit.model import portals, proxying, resources, spec

if TYPE_CHECKING:
    from labkit.client import http

VIAS = ("cluster-ip", "node-port", "external-ip", "load-balancer")
BRIDGE = "cbr0"


@dataclass(frozen=True, slots=True)
class Request:
    """`sender` is `client`, `node/NAME` or `pod/NAME`; empty: a process on the first worker.

    `via` empty: the node port, if the sender is outside the cluster or a node is named, else the
    clusterIP. `node` is the one whose node port is dialled; empty: the sender's own.
    """

    service: str
    namespace: str = "default"
    sender: str = ""
    via: str = ""
    port: str = ""
    node: str = ""


def request_of(asked: Request | str) -> Request:
    """A Service's name stands for a request that says no more."""
    return Request(asked) if isinstance(asked, str) else asked


def predict(
    machines: collect.Machines,
    client: http.Client,
    lab: spec.LabSpec,
    request: Request,
    *,
    why: bool = False,
) -> report.Prediction:
    """Read all nodes and the Service, and say where the request would go."""
    found = collect.read_objects(client, request.service, request.namespace)
    pods = [f"{request.namespace}_{name}" for name in _endpoints_pods(found)]
    states = collect.read_nodes(machines, lab.cluster, pods=pods)
    return forecast(lab, found, states, request, why=why)


def forecast(
    lab: spec.LabSpec,
    found: collect.Objects,
    states: Sequence[collect.NodeState],
    request: Request,
    *,
    why: bool = False,
) -> report.Prediction:
    """Raises NothingMatched and UsageError for what cannot be dialled, or not from there."""
    port = find_port(found.service, request)
    start = _start(lab, found.pods, request)
    target = lab.node(request.node or start.machine)
    address, number = find_address(port, settle(request, outside=start.is_outside), target)
    packet = packets.Packet(
        port.protocol.lower(), start.address, address, number, arrives_by=start.arrives_by
    )
    known = build_world(states, found, port)
    ways = (journey.arriving if start.arrives_by else journey.from_process)(
        known, start.machine, packet
    )
    problems = [f"{state.node.name}: {state.trouble}" for state in states if state.trouble]
    return report.describe(
        str(port.name), start.name, f"{address}:{number}", ways, problems, why=why
    )


def build_world(
    states: Iterable[collect.NodeState], found: collect.Objects, port: proxying.ServicePort
) -> journey.World:
    """The machines with their rules, the pods, and the ports of the proxy for this Service."""
    known = tuple(states)
    ends = proxying.parse_endpoints(found.endpoints) if found.endpoints else {}
    endpoints = ends.get(port.name, ())
    pods = dict(_homes(found.pods)) | {
        IPv4Address(one.ip): one.node for one in endpoints if one.node
    }
    targets = [(IPv4Address(one.ip), one.port) for one in endpoints]
    listeners = {
        (state.node.name, port.protocol.lower(), number): targets
        for state in known
        for number in proxy_ports(state, port)
    }
    machines = {state.node.name: build_machine(state) for state in known}
    sockets = {state.node.name: state.sockets for state in known if not state.trouble}
    in_pods = {
        IPv4Address(one.ip): state.pods[netns]
        for one in endpoints
        for state in known
        if (netns := f"{port.name.namespace}_{one.pod}") in state.pods
    }
    return journey.World(machines, pods, listeners, in_pods, sockets)


def _endpoints_pods(found: collect.Objects) -> set[str]:
    """Their names. A pod that has the node's network has no namespace of its own to look into."""
    ports = proxying.parse_endpoints(found.endpoints) if found.endpoints else {}
    return {one.pod for ends in ports.values() for one in ends if one.pod}


def _homes(pods: Iterable[resources.Object]) -> Iterator[tuple[IPv4Address, str]]:
    for pod in pods:
        address = (pod.get("status") or {}).get("podIP")
        if address and not pod["spec"].get("hostNetwork"):
            yield IPv4Address(address), pod["spec"].get("nodeName", "")


def proxy_ports(state: collect.NodeState, port: proxying.ServicePort) -> Iterator[int]:
    for chain in portals.CHAINS:
        for rule in state.rules.rules(chain.table, chain.name):
            if rule.comment == str(port.name) and (number := nodes.proxy_port_of(rule)):
                yield number


def build_machine(state: collect.NodeState) -> packets.Machine:
    """What netfilter's matches can ask about a node."""
    node = state.node
    network = IPv4Address(node.address)
    uplink = packets.Interface(packets.UNREAD, network, packets.EVERYWHERE)
    if node.pod_network is None:
        return packets.Machine(node.name, state.rules, (uplink,))
    bridge = packets.Interface(BRIDGE, node.pod_network[1], node.pod_network, is_bridge=True)
    return packets.Machine(node.name, state.rules, (uplink, bridge))


# --- the request ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Start:
    name: str
    machine: str
    address: IPv4Address
    arrives_by: str = ""
    is_outside: bool = False


def find_port(service: resources.Object, request: Request) -> proxying.ServicePort:
    if why := proxying.why_skipped(service):
        raise errors.NothingMatched(f"kube-proxy does not serve {request.service}: {why}")
    ports = proxying.parse_service(service)
    for port in ports:
        if not request.port or request.port in (port.name.port, str(port.port)):
            return port
    there = ", ".join(port.name.port or str(port.port) for port in ports) or "none"
    raise errors.NothingMatched(
        f"{request.service} has no port {request.port}", hint=f"its ports are: {there}"
    )


def _start(lab: spec.LabSpec, pods: Sequence[resources.Object], request: Request) -> _Start:
    kind, _, name = request.sender.partition("/")
    first = lab.workers[0] if lab.workers else lab.control
    if not kind:
        return _Start(f"a process on {first.name}", first.name, first.address)
    if kind == "node" and name:
        node = lab.node(name)
        if node.in_cluster:
            return _Start(f"a process on {name}", name, node.address)
        kind = "client"
    if kind == "pod" and name:
        return _pod_start(pods, name, request)
    outside = [node for node in lab.nodes if not node.in_cluster]
    if kind != "client" or not outside:
        raise errors.UsageError(
            f"nobody to send is called {request.sender}",
            hint="client, node/NAME or pod/NAME",
        )
    if request.via not in ("", "node-port"):
        raise errors.UsageError(
            f"the rules do not say to which node the network takes what {outside[0].name} sends "
            f"to a Service's {request.via}",
            hint="--via node-port, or a sender within the cluster",
        )
    catcher = lab.node(request.node or first.name)
    return _Start(
        outside[0].name, catcher.name, outside[0].address, packets.UNREAD, is_outside=True
    )


def _pod_start(pods: Sequence[resources.Object], name: str, request: Request) -> _Start:
    for pod in pods:
        if pod["metadata"]["name"] == name and (pod.get("status") or {}).get("podIP"):
            node, address = pod["spec"]["nodeName"], IPv4Address(pod["status"]["podIP"])
            by = "" if pod["spec"].get("hostNetwork") else BRIDGE
            return _Start(f"pod {name} on {node}", node, address, by)
    raise errors.NothingMatched(
        f"no pod {name} runs in {request.namespace}", hint="`labkit get pods -o wide` lists them"
    )


def settle(request: Request, *, outside: bool) -> Request:
    """The same, with the way that is meant where none is named.

    `outside`: the sender is no machine of the cluster, and in none of its pods.
    """
    return replace(
        request, via=request.via or ("node-port" if outside or request.node else "cluster-ip")
    )


def find_address(
    port: proxying.ServicePort, request: Request, node: spec.NodeSpec
) -> tuple[IPv4Address, int]:
    """What a settled request dials. Raises NothingMatched when the Service does not have it."""
    if request.via == "node-port" and port.node_port:
        return node.address, port.node_port
    addresses = {
        "cluster-ip": (port.cluster_ip,),
        "external-ip": port.external_ips,
        "load-balancer": port.ingress_ips,
    }.get(request.via, ())
    for address in addresses:
        if isinstance(address, IPv4Address):
            return address, port.port
    raise errors.NothingMatched(
        f"{request.service} has no {request.via}", hint=f"one of {', '.join(VIAS)} that it has"
    )
