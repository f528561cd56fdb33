"""Services and Endpoints as a kube-proxy sees them.

A Service says where clients knock (`clusterIP`, `port`, `nodePort`). Endpoints say which pods
answer, already with each pod's own port: the endpoints controller has resolved `targetPort`, so
the proxy never looks at it. The two meet by name alone: *namespace*, *name of the Service*, *name
of the port*. That triple is a ServicePortName; its text is the comment on every rule.

US-7 to US-12 of the behaviour of kube-proxy 1.20 are decided in this file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from labkit.model import resources

IPAddress = IPv4Address | IPv6Address

#: What kube-proxy lists and watches: another proxy's Services carry the second label.
SELECTOR = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"
#: Kubernetes' default for `sessionAffinityConfig.clientIP.timeoutSeconds`: three hours.
AFFINITY_TIMEOUT_S = 10800


@dataclass(frozen=True, slots=True, order=True)
class ServicePortName:
    """Which port of which Service; the protocol is no part of it.

    >>> print(ServicePortName("default", "app1"), ServicePortName("default", "dns", "tcp"))
    default/app1 default/dns:tcp
    """

    namespace: str
    name: str
    port: str = ""

    def __str__(self) -> str:
        service = f"{self.namespace}/{self.name}"
        return f"{service}:{self.port}" if self.port else service


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service, with every address and port under which clients may ask for it."""

    name: ServicePortName
    protocol: str
    port: int
    cluster_ip: IPAddress
    external_ips: tuple[IPAddress, ...] = ()
    ingress_ips: tuple[IPAddress, ...] = ()
    node_port: int = 0
    #: A number, or the name of a container's port. For people: the proxy does not need it.
    target_port: int | str = field(default=0, compare=False)
    #: 0 without session affinity.
    affinity_timeout_s: int = 0

    @property
    def sticky(self) -> bool:
        return self.affinity_timeout_s > 0

    @property
    def portals(self) -> tuple[tuple[str, int], ...]:
        """Each address and port to ask at; "" stands for every address of the node."""
        addresses = (self.cluster_ip, *self.external_ips, *self.ingress_ips)
        asked = tuple((str(address), self.port) for address in addresses)
        return (*asked, ("", self.node_port)) if self.node_port else asked


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One pod's address and port. The address stays text: it is handed to connect() as it is."""

    ip: str
    port: int
    pod: str = field(default="", compare=False)
    node: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def why_skipped(service: resources.Object) -> str:
    """Why a proxy does nothing for this Service; empty when it does something (US-9)."""
    spec = service.get("spec") or {}
    cluster_ip = spec.get("clusterIP") or ""
    if spec.get("type") == "ExternalName":
        return "type ExternalName is a name in DNS, there is nothing to forward"
    if cluster_ip == "None":
        return "clusterIP None makes it headless: clients find its pods by DNS"
    if not cluster_ip:
        return "it has no clusterIP"
    if parse_ip(cluster_ip) is None:
        return f"its clusterIP {cluster_ip!r} is not an address"
    return ""


def parse_service(service: resources.Object) -> tuple[ServicePort, ...]:
    """The ports of a Service, in the order of its spec; none when the proxy skips it."""
    if why_skipped(service):
        return ()
    meta, spec = service["metadata"], service["spec"]
    return tuple(
        ServicePort(
            name=ServicePortName(meta.get("namespace", ""), meta["name"], port.get("name") or ""),
            protocol=(port.get("protocol") or "TCP").upper(),
            port=port["port"],
            cluster_ip=ipaddress.ip_address(spec["clusterIP"]),
            external_ips=_addresses(spec.get("externalIPs")),
            ingress_ips=_ingress(service),
            node_port=port.get("nodePort") or 0,
            target_port=port.get("targetPort") or port["port"],
            affinity_timeout_s=_affinity_timeout_s(spec),
        )
        for port in spec.get("ports") or ()
    )


def parse_endpoints(endpoints: resources.Object) -> dict[ServicePortName, tuple[Endpoint, ...]]:
    """The ready endpoints of each port name; duplicates are kept (US-11)."""
    meta = endpoints["metadata"]
    found: dict[ServicePortName, tuple[Endpoint, ...]] = {}
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            name = ServicePortName(meta.get("namespace", ""), meta["name"], port.get("name") or "")
            ready = tuple(_ready(subset, port.get("port") or 0))
            if ready:
                found[name] = found.get(name, ()) + ready
    return found


def parse_ip(text: str) -> IPAddress | None:
    """None for what is not an address."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _ready(subset: resources.Object, port: int) -> Iterator[Endpoint]:
    """`notReadyAddresses` are not looked at."""
    for address in subset.get("addresses") or ():
        if port > 0 and parse_ip(address.get("ip") or "") is not None:
            target = address.get("targetRef") or {}
            pod = target.get("name", "") if target.get("kind") == "Pod" else ""
            yield Endpoint(address["ip"], port, pod, address.get("nodeName") or "")


def _addresses(texts: list[str] | None) -> tuple[IPAddress, ...]:
    """Leave out what cannot be read.

    kube-proxy wrote a rule without `-d` for it, which caught every packet to that port (US-30).
    """
    parsed = (parse_ip(text) for text in texts or ())
    return tuple(address for address in parsed if address is not None)


def _ingress(service: resources.Object) -> tuple[IPAddress, ...]:
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    return _addresses([entry.get("ip") or "" for entry in balancer.get("ingress") or ()])


def _affinity_timeout_s(spec: resources.Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds") or AFFINITY_TIMEOUT_S)
