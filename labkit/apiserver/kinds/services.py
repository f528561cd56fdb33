"""Services: a name and an address that stay, in front of pods that come and go.

Three numbers are confused by everybody. `port` is where the Service's own address listens;
`targetPort` is where the pods listen (a number, or the name of a container's port); `nodePort` is
where every node listens, for types NodePort and LoadBalancer. What is left out is filled in here:
`targetPort` equals `port`, and the `nodePort` is drawn by `labkit.apiserver.allocation`.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from labkit.apiserver import validation
from labkit.apiserver.kinds import kind, service_columns, service_policies, service_rules
from labkit.model import resources

#: Three hours: how long an idle client keeps its pod under `sessionAffinity: ClientIP`.
AFFINITY_TIMEOUT_S = 10800


def default(service: resources.Object) -> None:
    spec = service.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    _default_affinity(spec)
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        if port.get("targetPort", 0) in (0, ""):
            port["targetPort"] = port.get("port", 0)
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if service_rules.has_node_ports(spec):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for each in service.get("status", {}).get("loadBalancer", {}).get("ingress") or []:
            if each.get("ip"):
                each.setdefault("ipMode", "VIP")


def _default_affinity(spec: resources.Object) -> None:
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", AFFINITY_TIMEOUT_S)
    else:
        spec.pop("sessionAffinityConfig", None)


def _settle_addresses(spec: resources.Object) -> None:
    """`clusterIP` and `clusterIPs` say the same thing twice; either brings the other.

    These are no defaults that the client owns, as if it had written them: they are the server's.
    """
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
    _settle_addresses(service["spec"])


def prepare_update(new: resources.Object, old: resources.Object) -> None:
    """Keep what the Service holds unless the client says otherwise.

    What its new type does not need goes, where the client only forgot to take it out.
    """
    spec, held = new["spec"], old["spec"]
    _settle_addresses(spec)
    if spec["type"] == "ExternalName":
        _release_addresses(spec, held)
    elif held["type"] != "ExternalName":
        _keep_addresses(spec, held)
    if service_rules.has_node_ports(spec) and service_rules.has_node_ports(held):
        _keep_ports(spec, held)
    elif service_rules.has_node_ports(held):
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
    if not service_rules.has_node_ports(spec) and same and not spec.get("externalIPs"):
        spec.pop("externalTrafficPolicy", None)
    if spec["type"] != "LoadBalancer" and held["type"] == "LoadBalancer":
        spec.pop("allocateLoadBalancerNodePorts", None)
        if spec.get("loadBalancerClass") == held.get("loadBalancerClass"):
            spec.pop("loadBalancerClass", None)
    _settle_health_check(spec, held)


def _settle_health_check(spec: resources.Object, held: resources.Object) -> None:
    """The balancer knows the port: it stays as long as it is needed at all."""
    number = held.get("healthCheckNodePort")
    if service_policies.is_health_checked(spec):
        if number and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = number
    elif number and spec.get("healthCheckNodePort") == number:
        del spec["healthCheckNodePort"]


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
    columns=service_columns.COLUMNS,
    row=service_columns.row,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=service_rules.validate,
    validate_update=service_rules.validate_update,
    check_name=validation.dns_label_1035,
    fields=fields,
    categories=("all",),
    returns_deleted=True,
)
