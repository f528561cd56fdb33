"""port, targetPort, nodePort: three numbers that are confused because they are often equal.

    client in the cluster ── clusterIP:port ──┐
                                              ├──▶ proxy port ──▶ pod:targetPort
    client outside ───── node's IP:nodePort ──┘

Each field is told in one sentence: what it is, and who uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.inspection import endpoints
from labkit.model import proxying, resources, spec


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the Service, its value, and what it is for. `value` is empty where it is unset."""

    path: str
    value: str
    meaning: str


def explain_fields(
    service: resources.Object,
    backends: Sequence[endpoints.Backend],
    nodes: Sequence[spec.NodeSpec],
) -> tuple[Field, ...]:
    """Every field that decides where packets go, from the outside in."""
    if service["spec"].get("type") == "ExternalName":
        meaning = "DNS answers with this name instead of an address: nothing is forwarded."
        return (Field("spec.externalName", service["spec"].get("externalName", ""), meaning),)
    return (
        *_addresses(service),
        *(
            field
            for index, port in enumerate(proxying.parse_service(service))
            for field in _port(f"spec.ports[{index}]", port, backends, nodes)
        ),
        *_choosing(service),
    )


def explain_path(port: proxying.ServicePort, backends: Sequence[endpoints.Backend]) -> str:
    """The way of a request in one line: port -> targetPort, nodePort -> targetPort."""
    doors = [f"{port.cluster_ip}:{port.port} (port)"]
    if port.node_port:
        doors.append(f"any node:{port.node_port} (nodePort)")
    behind = _numbers(port, backends) or str(port.target_port)
    return (
        f"{port.name}, {port.protocol}: {' or '.join(doors)} -> the proxy port, random on "
        f"each node -> a pod, port {behind} (targetPort)"
    )


def _addresses(service: resources.Object) -> Iterator[Field]:
    address = str(service["spec"].get("clusterIP") or "")
    meaning = "The Service's own address. No machine has it: only the rules on each node know it."
    if address == "None":
        meaning = "No address of its own (headless): DNS answers with those of the pods."
    yield Field("spec.clusterIP", address, meaning)
    external = service["spec"].get("externalIPs") or []
    if external:
        meaning = "Addresses from elsewhere: packets to them that reach a node are caught as well."
        yield Field("spec.externalIPs", ", ".join(external), meaning)
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    ingress = [entry["ip"] for entry in balancer.get("ingress") or () if entry.get("ip")]
    if ingress:
        meaning = "The load balancer's address: the nodes catch packets to it without asking it."
        yield Field("status.loadBalancer.ingress", ", ".join(ingress), meaning)


def _port(
    path: str,
    port: proxying.ServicePort,
    backends: Sequence[endpoints.Backend],
    nodes: Sequence[spec.NodeSpec],
) -> Iterator[Field]:
    inside = (
        f"What clients inside the cluster dial on the clusterIP: {port.cluster_ip}:{port.port}."
    )
    yield Field(f"{path}.port", str(port.port), inside)
    yield Field(f"{path}.targetPort", str(port.target_port), _target(port, backends))
    if port.node_port:
        doors = ", ".join(f"{node.address}:{port.node_port}" for node in nodes)
        outside = f"What clients outside dial, at any node's own address: {doors}."
        yield Field(f"{path}.nodePort", str(port.node_port), outside)
    else:
        outside = "Not set: only type NodePort and LoadBalancer have one. No way in from outside."
        yield Field(f"{path}.nodePort", "", outside)


def _target(port: proxying.ServicePort, backends: Sequence[endpoints.Backend]) -> str:
    told = "Where the pods listen. Only the proxy dials it, clients never see it."
    if isinstance(port.target_port, int):
        return told
    numbers = _numbers(port, backends)
    here = f"here {numbers}" if numbers else "no pod behind this Service has such a port"
    return f"{told} It is a name, and each pod has its own number for it: {here}."


def _numbers(port: proxying.ServicePort, backends: Sequence[endpoints.Backend]) -> str:
    own = {backend.port for backend in backends if backend.port_name == port.name.port}
    return " or ".join(str(number) for number in sorted(own))


def _choosing(service: resources.Object) -> Iterator[Field]:
    selector = endpoints.selector_text(service)
    meaning = "Which pods answer: those with these labels that are ready."
    yield Field(
        "spec.selector", selector, meaning if selector else "Not set: endpoints are made by hand."
    )
    if service["spec"].get("sessionAffinity") == "ClientIP":
        meaning = "A client that comes again, by its address, gets the same pod."
        yield Field("spec.sessionAffinity", "ClientIP", meaning)
