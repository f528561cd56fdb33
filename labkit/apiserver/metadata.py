"""`metadata`: what the server alone decides, what a client may say, and what must match the URL."""

from __future__ import annotations

from labkit.apiserver import status, timestamps, validation
from labkit.apiserver.kinds import kind as kind_module
from labkit.model import resources

#: Belongs to the server: a client's value is ignored in favour of what is stored.
_SERVERS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "generation",
    "resourceVersion",
)
#: Not kept: it is what the URL says.
_DROPPED = ("selfLink",)


def begin(obj: resources.Object, kind: kind_module.Kind, namespace: str, *, now: str) -> None:
    """Make a new object's metadata, from what the client sent and from the URL."""
    meta = obj.setdefault("metadata", {})
    if meta.get("resourceVersion"):
        raise status.bad_request("resourceVersion should not be set on objects to be created")
    _match_namespace(meta, kind, namespace)
    for field in (*_SERVERS, *_DROPPED):
        if field != "generateName":
            meta.pop(field, None)
    meta["creationTimestamp"] = now
    obj["apiVersion"], obj["kind"] = kind.resource.api_version, kind.resource.kind


def carry_over(new: resources.Object, old: resources.Object, kind: kind_module.Kind) -> None:
    """Give `new` the metadata that only the server decides. Raises Conflict for a stale `new`."""
    meta, held = new.setdefault("metadata", {}), old["metadata"]
    name = held["name"]
    if meta.get("name", name) != name:
        raise status.bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
        )
    meta["name"] = name
    _match_namespace(meta, kind, held.get("namespace", ""))
    if meta.get("uid", held["uid"]) != held["uid"]:
        why = (
            f"Precondition failed: UID in precondition: {meta['uid']}, "
            f"UID in object meta: {held['uid']}"
        )
        raise status.conflict(kind.resource, name, why)
    if meta.get("resourceVersion", "") not in ("", "0", held["resourceVersion"]):
        raise status.modified(kind.resource, name)
    for field in _DROPPED:
        meta.pop(field, None)
    for field in _SERVERS:
        meta.pop(field, None)
        if field in held:
            meta[field] = held[field]
    new["apiVersion"], new["kind"] = old["apiVersion"], old["kind"]


def _match_namespace(meta: resources.Object, kind: kind_module.Kind, namespace: str) -> None:
    if not kind.resource.namespaced:
        meta.pop("namespace", None)
        return
    if meta.get("namespace", namespace) != namespace:
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    meta["namespace"] = namespace


def add_finalizer(obj: resources.Object, finalizer: str) -> None:
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if finalizer not in finalizers:
        finalizers.append(finalizer)


def controller_of(obj: resources.Object) -> resources.Object:
    """The owner that controls the object; empty when there is none."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def refer_to_owner(owner: resources.Object) -> resources.Object:
    """The ownerReference of what `owner` controls."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def mark_deleted(obj: resources.Object, now: float, grace_s: int) -> bool:
    """Set the time by which the object is to be gone. False when it has that already, or less."""
    meta = obj["metadata"]
    held = meta.get("deletionGracePeriodSeconds")
    if meta.get("deletionTimestamp") and (held is None or grace_s >= held):
        return False
    meta["deletionTimestamp"] = timestamps.render(now + grace_s)
    meta["deletionGracePeriodSeconds"] = grace_s
    return True


def validate(obj: resources.Object, kind: kind_module.Kind, report: validation.Report) -> None:
    meta = obj["metadata"]
    name = meta.get("name", "")
    if not name:
        report.required("metadata.name", "name or generateName is required")
    else:
        report.check("metadata.name", name, kind.check_name(name))
    validation.check_labels(report, "metadata.labels", meta.get("labels") or {})
    validation.check_annotations(report, "metadata.annotations", meta.get("annotations") or {})
    for index, finalizer in enumerate(meta.get("finalizers") or []):
        path = f"metadata.finalizers[{index}]"
        report.check(path, finalizer, validation.qualified_name(finalizer))
