"""Namespaces: a place for names, which outlives its deletion until it is empty."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.apiserver import tables, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources

#: Exist from the first start on.
INITIAL = ("default", "kube-node-lease", "kube-public", "kube-system")
#: Cannot be deleted: the cluster itself lives in them.
PERMANENT = ("default", "kube-public", "kube-system")
#: Stands in spec.finalizers until the namespace controller has emptied the namespace.
FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


def default(namespace: resources.Object) -> None:
    meta = namespace["metadata"]
    if meta.get("name"):
        meta.setdefault("labels", {})[NAME_LABEL] = meta["name"]


def prepare_create(namespace: resources.Object) -> None:
    namespace["spec"] = {"finalizers": [FINALIZER]}
    namespace["status"] = {"phase": "Active"}


def prepare_update(new: resources.Object, old: resources.Object) -> None:
    """Only the `finalize` subresource may change spec.finalizers."""
    new["spec"] = old["spec"]


def holds(namespace: resources.Object) -> bool:
    return bool(namespace["spec"].get("finalizers")) or kind.has_finalizers(namespace)


def refuse_delete(namespace: resources.Object) -> str:
    permanent = namespace["metadata"]["name"] in PERMANENT
    return "this namespace may not be deleted" if permanent else ""


def terminate(namespace: resources.Object) -> None:
    namespace.setdefault("status", {})["phase"] = "Terminating"


def row(namespace: resources.Object, now: float) -> list[tables.Cell]:
    phase = namespace.get("status", {}).get("phase", "")
    return [tables.name_of(namespace), phase, tables.age_of(namespace, now)]


def fields(namespace: resources.Object) -> Mapping[str, str]:
    return {"status.phase": namespace.get("status", {}).get("phase", "")}


KIND = kind.Kind(
    resources.NAMESPACES,
    columns=(tables.Column("Name"), tables.Column("Status"), tables.Column("Age")),
    row=row,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    check_name=validation.dns_label,
    fields=fields,
    holds=holds,
    refuse_delete=refuse_delete,
    terminate=terminate,
    further=(kind.Subresource("finalize", "Namespace", ("update",), version="v1"),),
    returns_deleted=True,
)
