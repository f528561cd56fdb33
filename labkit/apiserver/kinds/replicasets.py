"""ReplicaSets: so many pods of one template."""

from __future__ import annotations

from labkit.apiserver import tables
from labkit.apiserver.kinds import kind, workloads
from labkit.model import resources


def prepare_create(obj: resources.Object) -> None:
    obj["status"] = {"replicas": 0}


def row(obj: resources.Object, now: float) -> list[tables.Cell]:
    state = obj.get("status", {})
    return [
        tables.name_of(obj),
        obj["spec"]["replicas"],
        state.get("replicas", 0),
        state.get("readyReplicas", 0),
        tables.age_of(obj, now),
        *workloads.wide_cells(obj),
    ]


KIND = kind.Kind(
    resources.REPLICA_SETS,
    columns=(
        tables.Column("Name"),
        tables.Column("Desired", "integer"),
        tables.Column("Current", "integer"),
        tables.Column("Ready", "integer"),
        tables.Column("Age"),
        *workloads.WIDE_COLUMNS,
    ),
    row=row,
    default=workloads.default,
    prepare_create=prepare_create,
    validate=workloads.validate,
    validate_update=workloads.validate_update,
    further=(workloads.SCALE,),
    categories=("all",),
    counts_generations=True,
)
