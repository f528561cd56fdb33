"""From a field of a Service to what it made: the rules on each node, and where they lead.

    clusterIP, externalIPs, load balancer, port, nodePort   rules, and the socket they lead to
    targetPort, selector                                    the endpoints, on whichever node
    sessionAffinity                                         the proxy that remembers clients

One line for each field and node, with what the field's rules have counted there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from labkit.inspection import endpoints, fields, nodes
from labkit.model import proxying


@dataclass(frozen=True, slots=True)
class Link:
    """What one field became on one node."""

    field: str
    node: str
    chains: tuple[str, ...]
    packets: int
    bytes: int
    leads_to: tuple[str, ...]


def link_fields(
    seen: Iterable[fields.Field],
    ports: Iterable[proxying.ServicePort],
    backends: Sequence[endpoints.Backend],
    on_nodes: Sequence[nodes.ServiceOnNode],
) -> tuple[Link, ...]:
    """Every field that is set, on every node where it made something."""
    names = {f"spec.ports[{index}].targetPort": port.name.port for index, port in enumerate(ports)}
    found: list[Link] = []
    for field in seen:
        if not field.value:
            continue
        if field.path in names:
            own = [one for one in backends if one.port_name == names[field.path]]
            found += _to_endpoints(field.path, own)
        elif field.path == "spec.selector":
            found += _to_endpoints(field.path, backends)
        elif field.path == "spec.sessionAffinity":
            found += _to_proxies(field.path, on_nodes)
        else:
            found += _to_rules(field.path, on_nodes)
    return tuple(found)


def _to_rules(path: str, on_nodes: Iterable[nodes.ServiceOnNode]) -> Iterator[Link]:
    for node in on_nodes:
        made = [
            (rule, port)
            for port in node.ports
            for rule in port.rules
            if path in rule.field.split(" + ")
        ]
        if made:
            yield Link(
                path,
                node.name,
                tuple(dict.fromkeys(rule.chain for rule, _ in made)),
                sum(rule.packets for rule, _ in made),
                sum(rule.bytes for rule, _ in made),
                tuple(dict.fromkeys(_socket(port) for _, port in made)),
            )


def _to_endpoints(path: str, backends: Sequence[endpoints.Backend]) -> Iterator[Link]:
    for node in dict.fromkeys(backend.node for backend in backends):
        there = [backend for backend in backends if backend.node == node]
        yield Link(path, node, (), 0, 0, tuple(_endpoint(backend) for backend in there))


def _to_proxies(path: str, on_nodes: Iterable[nodes.ServiceOnNode]) -> Iterator[Link]:
    for node in on_nodes:
        held = tuple(dict.fromkeys(_socket(port) for port in node.ports if port.listener))
        if held:
            yield Link(path, node.name, (), 0, 0, held)


def _socket(port: nodes.PortOnNode) -> str:
    holder = port.listener.owner if port.listener else "nobody"
    return f"proxy port {port.proxy_port}/{port.protocol.lower()}, held by {holder}"


def _endpoint(backend: endpoints.Backend) -> str:
    pod = f" ({backend.pod})" if backend.pod else ""
    return f"{backend.address}:{backend.port}{pod}{'' if backend.ready else ', not ready'}"
