"""What `kubectl get services` says of a Service."""

from __future__ import annotations

from labkit.apiserver import tables
from labkit.model import resources

COLUMNS = (
    tables.Column("Name"),
    tables.Column("Type"),
    tables.Column("Cluster-IP"),
    tables.Column("External-IP"),
    tables.Column("Port(s)"),
    tables.Column("Age"),
    tables.Column("Selector", priority=1),
)


def render_ports(spec: resources.Object) -> str:
    """`8080:30062/TCP`, as the PORT(S) column has it: port, nodePort and protocol."""
    words = [
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or []
    ]
    return ",".join(words) or "<none>"


def external_address(service: resources.Object) -> str:
    spec = service["spec"]
    outside = list(spec.get("externalIPs") or [])
    if spec["type"] == "ExternalName":
        return str(spec.get("externalName", "<none>"))
    if spec["type"] == "LoadBalancer":
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        given = [item.get("ip") or item.get("hostname", "") for item in ingress]
        return ",".join(given + outside) or "<pending>"
    return ",".join(outside) or "<none>"


def row(service: resources.Object, now: float) -> list[tables.Cell]:
    spec = service["spec"]
    selector = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items()))
    return [
        tables.name_of(service),
        spec["type"],
        spec.get("clusterIP") or "<none>",
        external_address(service),
        render_ports(spec),
        tables.age_of(service, now),
        selector or "<none>",
    ]
