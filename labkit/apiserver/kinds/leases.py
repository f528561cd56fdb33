"""Leases: who leads, or who is alive, and until when that may be believed."""

from __future__ import annotations

from labkit.apiserver import tables, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources


def validate(lease: resources.Object, report: validation.Report) -> None:
    spec = lease.get("spec") or {}
    duration, transitions = spec.get("leaseDurationSeconds", 1), spec.get("leaseTransitions", 0)
    if duration <= 0:
        report.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    if transitions < 0:
        detail = "must be greater than or equal to 0"
        report.invalid("spec.leaseTransitions", transitions, detail)


def row(lease: resources.Object, now: float) -> list[tables.Cell]:
    holder = lease.get("spec", {}).get("holderIdentity", "")
    return [tables.name_of(lease), holder, tables.age_of(lease, now)]


KIND = kind.Kind(
    resources.LEASES,
    columns=(tables.Column("Name"), tables.Column("Holder"), tables.Column("Age")),
    row=row,
    validate=validate,
    has_status=False,
    create_on_update=True,
)
