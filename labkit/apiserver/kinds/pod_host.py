"""What a pod may ask of its machine: ports, a name, processor time and memory."""

from __future__ import annotations

from labkit.apiserver import quantities, validation
from labkit.model import resources


def validate(spec: resources.Object, report: validation.Report) -> None:
    for field, check in (
        ("hostname", validation.dns_label),
        ("subdomain", validation.dns_label),
        ("serviceAccountName", validation.dns_subdomain),
    ):
        if spec.get(field):
            report.check(f"spec.{field}", spec[field], check(spec[field]))
    taken: set[str] = set()
    for index, container in enumerate(spec.get("containers") or []):
        path = f"spec.containers[{index}]"
        _validate_ports(container, path, spec, taken, report)
        _validate_needs(container.get("resources") or {}, f"{path}.resources", report)


def _validate_ports(
    container: resources.Object,
    path: str,
    spec: resources.Object,
    taken: set[str],
    report: validation.Report,
) -> None:
    """No two ports of a pod are one port of its machine."""
    for index, port in enumerate(container.get("ports") or []):
        here, outside = f"{path}.ports[{index}]", port.get("hostPort")
        if spec.get("hostNetwork") and outside not in (None, 0, port.get("containerPort")):
            detail = "must match `hostPort` when `hostNetwork` is true"
            report.invalid(f"{here}.containerPort", port.get("containerPort", 0), detail)
        if outside:
            name = f"{port['protocol']}/{port.get('hostIP', '')}/{outside}"
            if name in taken:
                report.duplicate(f"{here}.hostPort", name)
            taken.add(name)


def _validate_needs(needs: resources.Object, path: str, report: validation.Report) -> None:
    """Nobody is promised more than he may have."""
    limits = needs.get("limits") or {}
    for name, wanted in (needs.get("requests") or {}).items():
        limit = limits.get(name)
        if limit is None:
            continue
        if quantities.thousandths(str(wanted)) > quantities.thousandths(str(limit)):
            detail = f"must be less than or equal to {name} limit of {limit}"
            report.invalid(f"{path}.requests", wanted, detail)
