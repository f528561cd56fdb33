"""Deployments: pods of one template, and how to go from one template to the next."""

from __future__ import annotations

import re

from labkit.apiserver import tables, validation
from labkit.apiserver.kinds import kind, workloads
from labkit.model import resources

_ROLLING, _RECREATE = "RollingUpdate", "Recreate"
_DEADLINE_S, _HISTORY = 600, 10


def default(obj: resources.Object) -> None:
    workloads.default(obj)
    spec = obj["spec"]
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", _ROLLING) == _ROLLING:
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    spec.setdefault("revisionHistoryLimit", _HISTORY)
    spec.setdefault("progressDeadlineSeconds", _DEADLINE_S)


def prepare_create(obj: resources.Object) -> None:
    obj["status"] = {}


def validate(obj: resources.Object, report: validation.Report) -> None:
    workloads.validate(obj, report)
    strategy = obj["spec"]["strategy"]
    report.one_of("spec.strategy.type", strategy["type"], (_RECREATE, _ROLLING))
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == _RECREATE and rolling is not None:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        report.forbidden("spec.strategy.rollingUpdate", detail)
    elif rolling is not None:
        _validate_rolling(rolling, report)
    if obj["spec"]["revisionHistoryLimit"] < 0:
        detail = "must be greater than or equal to 0"
        report.invalid("spec.revisionHistoryLimit", obj["spec"]["revisionHistoryLimit"], detail)
    minimum, deadline = (
        obj["spec"].get("minReadySeconds", 0),
        obj["spec"]["progressDeadlineSeconds"],
    )
    if deadline <= minimum:
        detail = "must be greater than minReadySeconds"
        report.invalid("spec.progressDeadlineSeconds", deadline, detail)


def _validate_rolling(rolling: resources.Object, report: validation.Report) -> None:
    path = "spec.strategy.rollingUpdate"
    for field in ("maxUnavailable", "maxSurge"):
        value = rolling[field]
        if isinstance(value, str) and not re.fullmatch("[0-9]+%", value):
            detail = "a valid percent string must be a numeric string followed by an ending '%'"
            report.invalid(f"{path}.{field}", value, detail)
        elif isinstance(value, int) and value < 0:
            report.invalid(f"{path}.{field}", value, "must be greater than or equal to 0")
    most = rolling["maxUnavailable"]
    if isinstance(most, str) and re.fullmatch("[0-9]+%", most) and int(most[:-1]) > 100:
        report.invalid(f"{path}.maxUnavailable", most, "must not be greater than 100%")
    zero = (0, "0%")
    if rolling["maxUnavailable"] in zero and rolling["maxSurge"] in zero:
        detail = "may not be 0 when `maxSurge` is 0"
        report.invalid(f"{path}.maxUnavailable", rolling["maxUnavailable"], detail)


def row(obj: resources.Object, now: float) -> list[tables.Cell]:
    state = obj.get("status", {})
    return [
        tables.name_of(obj),
        f"{state.get('readyReplicas', 0)}/{obj['spec']['replicas']}",
        state.get("updatedReplicas", 0),
        state.get("availableReplicas", 0),
        tables.age_of(obj, now),
        *workloads.wide_cells(obj),
    ]


KIND = kind.Kind(
    resources.DEPLOYMENTS,
    columns=(
        tables.Column("Name"),
        tables.Column("Ready"),
        tables.Column("Up-to-date"),
        tables.Column("Available"),
        tables.Column("Age"),
        *workloads.WIDE_COLUMNS,
    ),
    row=row,
    default=default,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=workloads.validate_update,
    further=(workloads.SCALE,),
    categories=("all",),
    counts_generations=True,
)
