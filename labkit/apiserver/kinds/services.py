"""Services: a name and an address that stay, in front of pods that come and go.

Three numbers are confused by everybody. `port` is where the Service's own address listens;
`targetPort` is where the pods listen (a number, or the name of a container's port); `nodePort` is
where every node listens, for types NodePort and LoadBalancer. What is left out is filled in here:
`targetPort` equals `port`, and the `nodePort` is drawn by `labkit.apiserver.allocation`.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from labkit.apiserver import tables, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
#: Three hours: how long an idle client keeps its pod under `sessionAffinity: ClientIP`.
AFFINITY_TIMEOUT_S = 10800


def has_node_ports(spec: resources.Object) -> bool:
    return spec["type"] in ("NodePort", "LoadBalancer")


def is_headless(spec: resources.Object) -> bool:
    return bool(spec.get("clusterIP") == "None")


def default(service: resources.Object) -> None:
    spec = service.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    _default_affinity(spec)
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        if port.get("targetPort", 0) in (0, ""):
            port["targetPort"] = port.get("port", 0)
    _default_addresses(spec)
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if has_node_ports(spec):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _default_affinity(spec: resources.Object) -> None:
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", AFFINITY_TIMEOUT_S)
    else:
        spec.pop("sessionAffinityConfig", None)


def _default_addresses(spec: resources.Object) -> None:
    """`clusterIP` and `clusterIPs` say the same thing twice; either brings the other."""
    if spec["type"] == "ExternalName":
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def prepare_create(service: resources.Object) -> None:
    service["status"] = {"loadBalancer": {}}


def prepare_update(new: resources.Object, old: resources.Object) -> None:
    """Keep what the Service holds unless the client says otherwise.

    What its new type does not need goes, where the client only forgot to take it out.
    """
    spec, held = new["spec"], old["spec"]
    if spec["type"] == "ExternalName":
        _release_addresses(spec, held)
    elif held["type"] != "ExternalName":
        _keep_addresses(spec, held)
    if has_node_ports(spec) and has_node_ports(held):
        _keep_ports(spec, held)
    elif has_node_ports(held):
        _release_ports(spec, held)
    _settle_policies(spec, held)


def _keep_addresses(spec: resources.Object, held: resources.Object) -> None:
    if not spec.get("clusterIP"):
        spec["clusterIP"], spec["clusterIPs"] = held["clusterIP"], held["clusterIPs"]
    elif spec["clusterIP"] != held["clusterIP"] and spec["clusterIPs"] == held["clusterIPs"]:
        spec["clusterIPs"] = [spec["clusterIP"]]


def _release_addresses(spec: resources.Object, held: resources.Object) -> None:
    for field in (
        "clusterIP",
        "clusterIPs",
        "ipFamilies",
        "ipFamilyPolicy",
        "internalTrafficPolicy",
    ):
        if spec.get(field) == held.get(field):
            spec.pop(field, None)


def _keep_ports(spec: resources.Object, held: resources.Object) -> None:
    before = {(port["protocol"], port["port"]): port.get("nodePort") for port in held["ports"]}
    asked = {port.get("nodePort") for port in spec.get("ports") or []}
    for port in spec.get("ports") or []:
        number = before.get((port["protocol"], port.get("port", 0)))
        if not port.get("nodePort") and number and number not in asked:
            port["nodePort"] = number


def _release_ports(spec: resources.Object, held: resources.Object) -> None:
    before = {port.get("nodePort") for port in held.get("ports") or []}
    for port in spec.get("ports") or []:
        if port.get("nodePort") in before:
            port.pop("nodePort", None)


def _settle_policies(spec: resources.Object, held: resources.Object) -> None:
    """A policy that the new type does not have goes, unless the client has just asked for it."""
    same = spec.get("externalTrafficPolicy") == held.get("externalTrafficPolicy")
    if not has_node_ports(spec) and same and not spec.get("externalIPs"):
        spec.pop("externalTrafficPolicy", None)
    if spec["type"] != "LoadBalancer" and held["type"] == "LoadBalancer":
        spec.pop("allocateLoadBalancerNodePorts", None)


# --- validation ----------------------------------------------------------------------------------


def validate(service: resources.Object, report: validation.Report) -> None:
    spec = service["spec"]
    ports = spec.get("ports") or []
    if not ports and spec["type"] != "ExternalName" and not is_headless(spec):
        report.required("spec.ports")
    _validate_type(spec, report)
    for index, port in enumerate(ports):
        _validate_port(port, f"spec.ports[{index}]", spec, report)
    validation.check_unique(report, "spec.ports", "name", ports)
    _validate_distinct(ports, report)
    validation.check_labels(report, "spec.selector", spec.get("selector") or {})
    _validate_policies(spec, report)
    for index, address in enumerate(spec.get("externalIPs") or []):
        report.check(f"spec.externalIPs[{index}]", address, validation.ip_address(address))


def _validate_type(spec: resources.Object, report: validation.Report) -> None:
    report.one_of("spec.type", spec["type"], TYPES)
    if spec["type"] == "ExternalName":
        _validate_external_name(spec, report)
        return
    addresses = spec.get("clusterIPs") or []
    if addresses and addresses[0] != spec.get("clusterIP"):
        report.invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`")
    if len(addresses) > 1:
        detail = "may only hold up to 1 value: the lab's networks are IPv4 only"
        report.invalid("spec.clusterIPs", addresses, detail)
    for index, address in enumerate(addresses):
        _validate_address(address, f"spec.clusterIPs[{index}]", spec["type"], report)
    if spec.get("ipFamilies", ["IPv4"]) != ["IPv4"]:
        detail = "may only hold IPv4: the lab's networks are IPv4 only"
        report.invalid("spec.ipFamilies", spec["ipFamilies"], detail)


def _validate_external_name(spec: resources.Object, report: validation.Report) -> None:
    name = spec.get("externalName", "")
    if spec.get("clusterIPs") or spec.get("clusterIP"):
        report.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
    if not name:
        report.required("spec.externalName")
    else:
        report.check("spec.externalName", name, validation.dns_subdomain(name.removesuffix(".")))


def _validate_address(
    address: str, path: str, service_type: str, report: validation.Report
) -> None:
    if address == "None":
        if service_type != "ClusterIP":
            detail = f"may not be set to 'None' for {service_type} services"
            report.invalid(path, address, detail)
        return
    complaints = validation.ip_address(address)
    report.check(path, address, complaints)
    if not complaints and ":" in address:
        report.invalid(path, address, "expected an IPv4 value as indicated by `ipFamilies[0]`")


def _validate_port(
    port: resources.Object, path: str, spec: resources.Object, report: validation.Report
) -> None:
    if port.get("name"):
        report.check(f"{path}.name", port["name"], validation.dns_label(port["name"]))
    elif len(spec["ports"]) > 1:
        report.required(f"{path}.name")
    number = port.get("port", 0)
    report.check(f"{path}.port", number, validation.port_number(number))
    report.one_of(f"{path}.protocol", port["protocol"], PROTOCOLS)
    target = port["targetPort"]
    by_name = isinstance(target, str)
    complaints = validation.port_name(target) if by_name else validation.port_number(target)
    report.check(f"{path}.targetPort", target, complaints)
    if port.get("nodePort") and spec["type"] in ("ClusterIP", "ExternalName"):
        detail = f"may not be used when `type` is '{spec['type']}'"
        report.forbidden(f"{path}.nodePort", detail)


def _validate_distinct(ports: list[resources.Object], report: validation.Report) -> None:
    """No two ports with one protocol share a number, be it `port` or `nodePort`."""
    for field, suffix in (("port", ""), ("nodePort", ".nodePort")):
        seen: set[tuple[str, int]] = set()
        for index, port in enumerate(ports):
            key = (port["protocol"], port.get(field, 0))
            if key[1] and key in seen:
                value = validation.GoText(_go_port(*key, field))
                report.duplicate(f"spec.ports[{index}]{suffix}", value)
            seen.add(key)


def _go_port(protocol: str, number: int, field: str) -> str:
    port, node_port = (number, 0) if field == "port" else (0, number)
    return (
        f'core.ServicePort{{Name:"", Protocol:"{protocol}", AppProtocol:(*string)(nil), '
        f'Port:{port}, TargetPort:intstr.IntOrString{{Type:0, IntVal:0, StrVal:""}}, '
        f"NodePort:{node_port}}}"
    )


def _validate_policies(spec: resources.Object, report: validation.Report) -> None:
    report.one_of("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    if spec["sessionAffinity"] == "ClientIP":
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        timeout = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < timeout <= 86400:
            report.invalid(path, timeout, "must be greater than 0 and less than 86400")
    for field in ("internalTrafficPolicy", "externalTrafficPolicy"):
        if spec.get(field) and spec[field] not in ("Cluster", "Local"):
            report.unsupported(f"spec.{field}", spec[field], ("Cluster", "Local"))
    if (
        spec.get("externalTrafficPolicy")
        and not has_node_ports(spec)
        and not spec.get("externalIPs")
    ):
        detail = "may only be set for externally-accessible services"
        report.invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], detail)


def validate_update(
    new: resources.Object, old: resources.Object, report: validation.Report
) -> None:
    """A clusterIP is for life: rules on every node, and caches of clients, know it."""
    held = old["spec"].get("clusterIPs") or []
    wanted = new["spec"].get("clusterIPs") or []
    types = (new["spec"]["type"], old["spec"]["type"])
    if held and "ExternalName" not in types and wanted[:1] != held[:1]:
        report.invalid("spec.clusterIPs[0]", wanted, "may not change once set")


# --- the table -----------------------------------------------------------------------------------


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


def fields(service: resources.Object) -> dict[str, str]:
    spec = service["spec"]
    return {"spec.clusterIP": spec.get("clusterIP", ""), "spec.type": spec["type"]}


def api_service(address: IPv4Address, api_port: int) -> resources.Object:
    """`default/kubernetes`: the API server itself, as pods reach it."""
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": api_port}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {"type": "ClusterIP", "clusterIP": str(address), "ports": [port]},
    }


KIND = kind.Kind(
    resources.SERVICES,
    columns=(
        tables.Column("Name"),
        tables.Column("Type"),
        tables.Column("Cluster-IP"),
        tables.Column("External-IP"),
        tables.Column("Port(s)"),
        tables.Column("Age"),
        tables.Column("Selector", priority=1),
    ),
    row=row,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    check_name=validation.dns_label_1035,
    fields=fields,
    categories=("all",),
    returns_deleted=True,
)
