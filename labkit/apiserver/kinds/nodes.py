"""Nodes: machines that run pods. A node's own podlet registers it and reports its health."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from labkit.apiserver import conditions, tables, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_ROLE_LABEL = "node-role.kubernetes.io/"
_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def is_ready(node: resources.Object) -> bool:
    return conditions.find_condition(node, "Ready").get("status") == "True"


def default(node: resources.Object) -> None:
    """`podCIDR` and `podCIDRs` say the same thing twice; either brings the other."""
    spec = node.setdefault("spec", {})
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]


def prepare_create(node: resources.Object) -> None:
    """No pod goes to a node that has not said yet that it is ready."""
    if not is_ready(node):
        taint = {"key": NOT_READY, "effect": "NoSchedule"}
        node["spec"]["taints"] = [*(node["spec"].get("taints") or []), taint]


def validate(node: resources.Object, report: validation.Report) -> None:
    spec = node["spec"]
    for index, cidr in enumerate(spec.get("podCIDRs") or []):
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            report.invalid(f"spec.podCIDRs[{index}]", cidr, "must be a valid CIDR value")
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints") or []):
        # A stock server says `metadata`, too, although the taints stand in the spec.
        path = f"metadata.taints[{index}]"
        report.check(
            f"{path}.key", taint.get("key", ""), validation.qualified_name(taint.get("key", ""))
        )
        report.check(
            f"{path}.value", taint.get("value", ""), validation.label_value(taint.get("value", ""))
        )
        report.one_of(f"{path}.effect", taint.get("effect", ""), _EFFECTS)
        pair = (taint.get("key", ""), taint.get("effect", ""))
        if pair in seen:
            detail = "taints must be unique by key and effect pair"
            report.duplicate(path, validation.GoText(_render_taint(taint)), detail)
        seen.add(pair)


def _render_taint(taint: resources.Object) -> str:
    key, value, effect = (f'"{taint.get(field, "")}"' for field in ("key", "value", "effect"))
    return f"core.Taint{{Key:{key}, Value:{value}, Effect:{effect}, TimeAdded:<nil>}}"


def validate_update(
    new: resources.Object, old: resources.Object, report: validation.Report
) -> None:
    held = old["spec"].get("podCIDR")
    if held and new["spec"].get("podCIDR") != held:
        detail = 'node updates may not change podCIDR except from "" to valid'
        report.forbidden("spec.podCIDRs", detail)


def roles(node: resources.Object) -> str:
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    found = {key.removeprefix(_ROLE_LABEL) for key in labels if key.startswith(_ROLE_LABEL)}
    if labels.get("kubernetes.io/role"):
        found.add(labels["kubernetes.io/role"])
    return ",".join(sorted(found - {""})) or "<none>"


def _status_cell(node: resources.Object) -> str:
    ready = conditions.find_condition(node, "Ready").get("status")
    words = [
        {"True": "Ready", "False": "NotReady"}.get(ready or "", "NotReady" if ready else "Unknown")
    ]
    if node.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _address(node: resources.Object, wanted: str) -> str:
    addresses = node.get("status", {}).get("addresses") or []
    return next((a["address"] for a in addresses if a.get("type") == wanted), "<none>")


def row(node: resources.Object, now: float) -> list[tables.Cell]:
    info = node.get("status", {}).get("nodeInfo") or {}
    return [
        tables.name_of(node),
        _status_cell(node),
        roles(node),
        tables.age_of(node, now),
        info.get("kubeletVersion", ""),
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def fields(node: resources.Object) -> Mapping[str, str]:
    unschedulable = node.get("spec", {}).get("unschedulable", False)
    return {"spec.unschedulable": "true" if unschedulable else "false"}


KIND = kind.Kind(
    resources.NODES,
    columns=(
        tables.Column("Name"),
        tables.Column("Status"),
        tables.Column("Roles"),
        tables.Column("Age"),
        tables.Column("Version"),
        tables.Column("Internal-IP", priority=1),
        tables.Column("External-IP", priority=1),
        tables.Column("OS-Image", priority=1),
        tables.Column("Kernel-Version", priority=1),
        tables.Column("Container-Runtime", priority=1),
    ),
    row=row,
    default=default,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    fields=fields,
)
