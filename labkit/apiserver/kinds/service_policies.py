"""Which way a Service's traffic may go, and which of these choices its type has at all."""

from __future__ import annotations

import ipaddress

from labkit.apiserver import validation
from labkit.model import resources

_POLICIES = ("Cluster", "Local")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
#: A day.
_AFFINITY_MAX_S = 86400


def is_health_checked(spec: resources.Object) -> bool:
    """A balancer asks the nodes at a port of its own which of them have an endpoint.

    Under `externalTrafficPolicy: Local` the others would drop what it sends them.
    """
    return bool(spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local")


def validate(spec: resources.Object, report: validation.Report) -> None:
    _validate_affinity(spec, report)
    _validate_traffic(spec, report)
    _validate_balancer(spec, report)
    _validate_families(spec, report)
    for index, address in enumerate(spec.get("externalIPs") or []):
        path = f"spec.externalIPs[{index}]"
        complaints = validation.ip_address(address) or validation.special_address(address)
        report.check(path, address, complaints)


def _validate_affinity(spec: resources.Object, report: validation.Report) -> None:
    report.one_of("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    if spec["sessionAffinity"] == "ClientIP":
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        timeout = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < timeout <= _AFFINITY_MAX_S:
            detail = f"must be greater than 0 and less than {_AFFINITY_MAX_S}"
            report.invalid(path, timeout, detail)


def _validate_traffic(spec: resources.Object, report: validation.Report) -> None:
    for field in ("internalTrafficPolicy", "externalTrafficPolicy"):
        if spec.get(field) and spec[field] not in _POLICIES:
            report.unsupported(f"spec.{field}", spec[field], _POLICIES)
    outside = spec.get("externalTrafficPolicy")
    reachable = spec["type"] in ("NodePort", "LoadBalancer") or spec.get("externalIPs")
    if outside and not reachable:
        detail = "may only be set for externally-accessible services"
        report.invalid("spec.externalTrafficPolicy", outside, detail)
    health = spec.get("healthCheckNodePort")
    if health and not is_health_checked(spec):
        detail = (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )
        report.invalid("spec.healthCheckNodePort", health, detail)


def _validate_balancer(spec: resources.Object, report: validation.Report) -> None:
    """What only a load balancer has."""
    own = ("allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerSourceRanges")
    for field in own:
        if spec["type"] != "LoadBalancer" and spec.get(field) is not None:
            detail = "may only be used when `type` is 'LoadBalancer'"
            report.forbidden(f"spec.{field}", detail)
    if address := spec.get("loadBalancerIP"):
        report.check("spec.loadBalancerIP", address, validation.ip_address(address))
    if name := spec.get("loadBalancerClass"):
        report.check("spec.loadBalancerClass", name, validation.qualified_name(name))
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or []):
        try:
            ipaddress.ip_network(text.strip(), strict=False)
            has_length = "/" in text
        except ValueError:
            has_length = False
        if not has_length:
            detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            report.invalid(f"spec.loadBalancerSourceRanges[{index}]", text, detail)


def _validate_families(spec: resources.Object, report: validation.Report) -> None:
    """The lab's networks are IPv4 alone; a dual stack may be preferred, but not required."""
    policy = spec.get("ipFamilyPolicy", "SingleStack")
    if policy not in _FAMILY_POLICIES:
        report.unsupported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES)
    elif policy == "RequireDualStack":
        detail = "this cluster is not configured for dual-stack services"
        report.invalid("spec.ipFamilyPolicy", policy, detail)
    for index, family in enumerate(spec.get("ipFamilies") or []):
        path = f"spec.ipFamilies[{index}]"
        if family not in _FAMILIES:
            report.unsupported(path, family, _FAMILIES)
        elif family != "IPv4":
            report.invalid(path, family, "not configured on this cluster")
