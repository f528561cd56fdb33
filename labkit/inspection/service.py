"""One Service, wholly: its fields, the pods behind it, and its rules and sockets on every node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.inspection import collect, endpoints, fields, links, nodes, schema
from labkit.model import proxying, resources

SCHEMA = "service-inspection"
VERSION = 1


@dataclass(frozen=True, slots=True, repr=False)
class ServiceInspection(shown.Shown):
    """What a Service asks for, and what became of it. `notes` are about all nodes together."""

    name: str
    namespace: str
    type: str
    cluster_ip: str
    paths: tuple[str, ...]
    fields: tuple[fields.Field, ...]
    endpoints: tuple[endpoints.Backend, ...]
    nodes: tuple[nodes.ServiceOnNode, ...]
    notes: tuple[str, ...] = ()
    links: tuple[links.Link, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def document(self) -> document.Section:
        address = f", clusterIP {self.cluster_ip}" if self.cluster_ip else ""
        return document.Section(
            f"Service {self.namespace}/{self.name}: type {self.type}{address}",
            (
                *(document.Text(path) for path in self.paths),
                *(document.Text(document.bad(note)) for note in self.notes),
                _fields_table(self.fields),
                _endpoints_table(self.endpoints),
                _links_table(self.links),
                *(_node_section(node) for node in self.nodes),
            ),
        )


def inspect_service(
    service: resources.Object,
    endpoints_obj: resources.Object | None,
    pods: Sequence[resources.Object],
    node_states: Sequence[collect.NodeState],
) -> ServiceInspection:
    """Put together what the API server says and what the nodes have. Pure."""
    backends = endpoints.list_backends(endpoints_obj, pods)
    ports = proxying.parse_service(service)
    full_name = resources.name_of(service)
    meta, wanted = service["metadata"], service["spec"]
    seen = fields.explain_fields(service, backends, [state.node for state in node_states])
    on_nodes = tuple(nodes.inspect_node(full_name, ports, state) for state in node_states)
    return ServiceInspection(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        type=wanted.get("type") or "ClusterIP",
        cluster_ip=wanted.get("clusterIP") or "",
        paths=tuple(fields.explain_path(port, backends) for port in ports),
        fields=seen,
        endpoints=backends,
        nodes=on_nodes,
        notes=(*_skipped(service), *endpoints.explain_backends(service, backends, pods)),
        links=links.link_fields(seen, ports, backends, on_nodes),
    )


def _skipped(service: resources.Object) -> Iterator[str]:
    why = proxying.why_skipped(service)
    if why:
        yield f"kube-proxy makes no rules for this Service: {why}."


def _fields_table(seen: Sequence[fields.Field]) -> document.Table:
    rows = [[field.path, field.value or "-", field.meaning] for field in seen]
    return document.Table(("field", "value", "what it is"), rows, "Fields")


def _endpoints_table(backends: Sequence[endpoints.Backend]) -> document.Table:
    rows: list[list[document.Cell]] = [
        [
            f"{backend.address}:{backend.port}",
            backend.port_name or "-",
            backend.pod or "-",
            backend.node or "-",
            document.good("ready") if backend.ready else document.bad(_not_ready(backend)),
        ]
        for backend in backends
    ]
    return document.Table(("address", "port name", "pod", "node", "state"), rows, "Endpoints")


def _links_table(found: Sequence[links.Link]) -> document.Table:
    rows: list[list[document.Cell]] = [
        [link.field, link.node or "-", link.packets if link.chains else "-", _leads(link)]
        for link in found
    ]
    return document.Table(
        ("field", "node", "packets", "leads to"), rows, "What each field became", long_last=True
    )


def _leads(link: links.Link) -> str:
    return " -> ".join(part for part in (", ".join(link.chains), ", ".join(link.leads_to)) if part)


def _not_ready(backend: endpoints.Backend) -> str:
    return f"not ready: {backend.why}" if backend.why else "not ready"


def _node_section(node: nodes.ServiceOnNode) -> document.Section:
    return document.Section(
        f"{node.name} ({node.role}, {node.address})",
        (*_problem_texts(node), *(block for port in node.ports for block in _port_blocks(port))),
    )


def _problem_texts(node: nodes.ServiceOnNode) -> Iterator[document.Block]:
    for problem in node.problems:
        yield document.Text(document.bad(problem))
    if not node.problems and not node.ports:
        yield document.Text("no rules, as it should be")


def _port_blocks(port: nodes.PortOnNode) -> Iterator[document.Block]:
    if not port.rules:
        return
    where = f"proxy port {port.proxy_port}/{port.protocol.lower()}"
    if port.listener:
        yield document.Text(f"{port.name}: {where}, where {port.listener.owner} listens")
    else:
        yield document.Text(document.bad(f"{port.name}: {where}, where nobody listens"))
    yield document.Table(
        ("chain", "packets", "bytes", "made by", "rule"),
        [
            [rule.chain, rule.packets, rule.bytes, rule.field or "nothing: stale", _spec(rule)]
            for rule in port.rules
        ],
        long_last=True,
    )


def _spec(rule: nodes.SeenRule) -> str:
    """The rule without its chain, which has a column of its own."""
    return rule.text.removeprefix(f"-A {rule.chain} ")
