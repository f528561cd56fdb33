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
#: Those of Kubernetes itself; all others are qualified with a domain.
_STANDARD_FINALIZERS = ("kubernetes", "foregroundDeletion", "orphan")
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
    name, namespace = held["name"], held.get("namespace", "")
    match_name(meta, name)
    if kind.resource.namespaced and meta.get("namespace", namespace) != namespace:
        raise status.bad_request(
            f"the namespace of the object ({meta['namespace']}) does not match "
            f"the namespace on the request ({namespace})"
        )
    _match_namespace(meta, kind, namespace)
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


def match_name(meta: resources.Object, name: str) -> None:
    """Whoever replaces an object says which one, although the URL says it too."""
    if not meta.get("name"):
        raise status.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if meta["name"] != name:
        raise status.bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
        )


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
    _validate_owners(meta.get("ownerReferences") or [], report)
    for index, finalizer in enumerate(meta.get("finalizers") or []):
        path = f"metadata.finalizers[{index}]"
        wrong = validation.qualified_name(finalizer)
        report.check(path, finalizer, wrong)
        if not wrong and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            report.invalid(path, finalizer, why)


def _validate_owners(owners: list[resources.Object], report: validation.Report) -> None:
    """Which one of the owners is wrong, Kubernetes does not tell."""
    path = "metadata.ownerReferences"
    for owner in owners:
        version = owner.get("apiVersion", "")
        for field, value, what in (
            ("apiVersion", version.rpartition("/")[2], "version"),
            *((field, owner.get(field), field) for field in ("kind", "name", "uid")),
        ):
            if not value:
                report.invalid(f"{path}.{field}", owner.get(field, ""), f"{what} must not be empty")
    controllers = [owner.get("name", "") for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        why = (
            "Only one reference can have Controller set to true. "
            f'Found "true" in references for {controllers[0]} and {controllers[1]}'
        )
        report.invalid(path, controllers, why)


def validate_update(
    new: resources.Object, old: resources.Object, report: validation.Report
) -> None:
    """What is being deleted may only come nearer to it."""
    if not old["metadata"].get("deletionTimestamp"):
        return
    held = old["metadata"].get("finalizers") or []
    added = [each for each in new["metadata"].get("finalizers") or [] if each not in held]
    if added:
        report.forbidden(
            "metadata.finalizers",
            "no new finalizers can be added if the object is being deleted, "
            f"found new finalizers {validation.render_go(added)}",
        )
