"""What a Service may be, field by field."""

from __future__ import annotations

from labkit.apiserver import validation
from labkit.apiserver.kinds import service_policies
from labkit.model import resources

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")


def has_node_ports(spec: resources.Object) -> bool:
    return spec["type"] in ("NodePort", "LoadBalancer")


def is_headless(spec: resources.Object) -> bool:
    return bool(spec.get("clusterIP") == "None")


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
    service_policies.validate(spec, report)
    _validate_ingress(service.get("status") or {}, report)


def _validate_ingress(state: resources.Object, report: validation.Report) -> None:
    """What a load balancer reports of itself."""
    for index, point in enumerate(state.get("loadBalancer", {}).get("ingress") or []):
        path = f"status.loadBalancer.ingress[{index}]"
        if point.get("ip") and validation.ip_address(point["ip"]):
            report.invalid(f"{path}.ip", point["ip"], "must be a valid IP address")
        if name := point.get("hostname"):
            report.check(f"{path}.hostname", name, validation.dns_subdomain(name))


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


def validate_update(
    new: resources.Object, old: resources.Object, report: validation.Report
) -> None:
    """A clusterIP is for life: rules on every node, and caches of clients, know it."""
    held = old["spec"].get("clusterIPs") or []
    wanted = new["spec"].get("clusterIPs") or []
    types = (new["spec"]["type"], old["spec"]["type"])
    if held and "ExternalName" not in types and wanted[:1] != held[:1]:
        report.invalid("spec.clusterIPs[0]", wanted, "may not change once set")
    classes = [spec.get("loadBalancerClass") for spec in (new["spec"], old["spec"])]
    if types == ("LoadBalancer", "LoadBalancer") and classes[0] != classes[1]:
        report.invalid("spec.loadBalancerClass", classes[0], "may not change once set")
    if all(map(service_policies.is_health_checked, (new["spec"], old["spec"]))):
        ports = [spec.get("healthCheckNodePort") for spec in (new["spec"], old["spec"])]
        if ports[0] != ports[1]:
            report.invalid("spec.healthCheckNodePort", ports[0], "field is immutable")
