"""create, update, patch, delete and deletecollection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from labkit import errors
from labkit.apiserver import (
    authz,
    binding,
    decode,
    manifests,
    media,
    metadata,
    patch,
    protobuf,
    reading,
    registry,
    schema,
    server_side,
    status,
    strategic,
    validation,
)
from labkit.apiserver.call import Answer, Call, Filter, answer
from labkit.model import resources

_STRICT = "Strict"
_IGNORE = "Ignore"


def create(objects: registry.Registry, call: Call) -> Answer:
    _check_dry_run(call)
    obj, warnings = _read_object(call)
    if call.kind.review:
        return answer(call.kind.review(obj, call.user, objects.find_pod), 201)
    if call.info.subresource == "binding":
        return _bind(objects, call, obj)
    if call.info.subresource == "eviction":
        return _evict(objects, call, obj)
    if call.kind.resource == resources.NODES:
        _check_node(call, obj)
    return _create(objects, call, obj, warnings)


def _create(
    objects: registry.Registry, call: Call, obj: resources.Object, warnings: list[str]
) -> Answer:
    manager, taken = server_side.manager_of(call), call.kind.take(obj)
    stored = objects.create(
        call.kind.stored, call.namespace, taken, manager=manager, dry_run=call.dry_run
    )
    return reading.render(call, stored, 201, warnings=warnings)


def _bind(objects: registry.Registry, call: Call, obj: resources.Object) -> Answer:
    if obj.get("metadata", {}).get("name") != call.info.name:
        raise status.bad_request("name in URL does not match name in Binding object")
    node = obj.get("target", {}).get("name", "")
    binding.bind(objects, call.namespace, call.info.name, node)
    return answer(status.success(code=201), 201)


def _evict(objects: registry.Registry, call: Call, obj: resources.Object) -> Answer:
    """A deletion that asks first: where nothing limits disruptions, the answer is yes."""
    options = _read_delete_options(call, obj.get("deleteOptions") or {})
    objects.delete(call.kind, call.namespace, call.info.name, options)
    return answer(status.success(code=201), 201)


def _check_node(call: Call, obj: resources.Object) -> None:
    name = obj.get("metadata", {}).get("name", "")
    verdict = authz.may_create_node(call.user, name)
    if not verdict.allowed:
        raise status.forbidden(resources.NODES, name, verdict.why)


def update(objects: registry.Registry, call: Call) -> Answer:
    _check_dry_run(call)
    obj, warnings = _read_object(call)
    namespace, name = call.namespace, call.info.name
    missing = objects.store.get(call.kind.stored.resource, namespace, name) is None
    if missing and call.kind.create_on_update and not call.info.subresource:
        metadata.match_name(obj.setdefault("metadata", {}), name)
        return _create(objects, call, obj, warnings)
    return _modify(objects, call, lambda _: obj, warnings)


def patch_(objects: registry.Registry, call: Call) -> Answer:
    _check_dry_run(call)
    patch_type = media.parse_patch_type(call.content_type)
    if patch_type == media.APPLY_PATCH:
        return server_side.apply(objects, call)
    _refuse_force(call)
    changes = _parse_patch(call.body, patch_type)
    warnings: list[str] = []

    def modify(old: resources.Object) -> resources.Object:
        patched = _apply_patch(call, patch_type, old, changes)
        if patch_type != media.STRATEGIC_PATCH and _names_kind(patched) != _names_kind(old):
            _check_patched_kind(call, patched, changes)
        return _decode_patched(call, patched, changes, warnings)

    return _modify(objects, call, modify, warnings)


def _check_dry_run(call: Call, asked: Sequence[str] = ()) -> None:
    """Raises ApiError 422. An option that nobody knows must not become a real write."""
    values = [value for value in (call.query.get("dryRun"), *asked) if value]
    if all(value == "All" for value in values):
        return
    report = validation.Report()
    report.unsupported("dryRun", values, ("All",))
    verb = call.info.verb.removesuffix("collection")
    kind = "CreateOptions" if call.info.subresource == "eviction" else f"{verb.title()}Options"
    raise status.invalid(resources.Resource(kind, "", "meta.k8s.io"), "", report.causes)


def _refuse_force(call: Call) -> None:
    """Only an apply can meet conflicts to be forced."""
    if "force" in call.query:
        report = validation.Report()
        report.forbidden("force", "may not be specified for non-apply patch")
        options = resources.Resource("PatchOptions", "", "meta.k8s.io")
        raise status.invalid(options, "", report.causes)


def _modify(
    objects: registry.Registry, call: Call, modify: registry.Modify, warnings: list[str]
) -> Answer:
    kind, form = call.kind, call.form

    def modify_stored(old: resources.Object) -> resources.Object:
        if form:
            return form.take(modify(form.show(old)), old)
        return kind.take(modify(kind.view.show(old) if kind.view else old))

    stored = objects.update(
        kind.stored,
        call.namespace,
        call.info.name,
        modify_stored,
        subresource="" if form else call.info.subresource,
        manager=server_side.manager_of(call),
        dry_run=call.dry_run,
    )
    return reading.render(call, stored, warnings=warnings)


# --- reading bodies ------------------------------------------------------------------------------


def _read_object(call: Call) -> tuple[resources.Object, list[str]]:
    """The body as an object with known fields, and warnings about the others."""
    name, version = schema.bare(call.struct), call.api_version.rpartition("/")[2]
    try:
        value = _parse_body(call, call.struct)
    except (decode.DecodeError, protobuf.ProtobufError) as error:
        raise status.bad_request(
            f"the object provided is unrecognized (must be of type {name}): "
            f"couldn't get version/kind; {error}"
        ) from error
    if why := _explain_kind(call, value):
        raise status.bad_request(why)
    try:
        decoded = _decode(call, value, call.struct)
    except decode.DecodeError as error:
        raise status.bad_request(
            f'{name} in version "{version}" cannot be handled as a {name}: {error}'
        ) from error
    return decoded.object, _warnings(call, decoded)


def _parse_body(call: Call, struct: str) -> Any:
    if media.is_protobuf(call.content_type):
        return protobuf.decode(call.body, struct)
    if media.is_yaml(call.content_type):
        return manifests.parse(call.body)
    media.check_json(call.content_type)
    return decode.parse_json(call.body)


def _explain_kind(call: Call, value: Any) -> str:
    """The body may leave out what it is: the URL says it. Why it may not say something else."""
    if not isinstance(value, dict):
        return ""
    name = schema.bare(call.struct)
    kind, version = value.get("kind", name), value.get("apiVersion")
    wanted = call.api_version
    if kind != name:
        return (
            f'{kind} in version "{version or wanted}" cannot be handled as a {name}: '
            f"the URL is that of a {name}"
        )
    if (version or wanted) != wanted:
        return (
            f"the API version in the data ({version}) does not match "
            f"the expected API version ({wanted})"
        )
    return ""


def _validation(call: Call) -> str:
    """`fieldValidation`, in which a missing value means Warn. Raises ApiError 422."""
    value = call.query.get("fieldValidation") or "Warn"
    if value not in (_IGNORE, "Warn", _STRICT):
        report = validation.Report()
        report.unsupported("fieldValidation", value, ("", _IGNORE, _STRICT, "Warn"))
        raise status.invalid(call.kind.resource, call.info.name, report.causes)
    return value


def _decode(call: Call, value: Any, struct: str) -> decode.Decoded:
    """Raises DecodeError for a wrong type and, where the client wants that, an unknown field."""
    decoded = decode.decode(value, struct)
    if decoded.unknown and _validation(call) == _STRICT:
        raise decode.DecodeError(f"strict decoding error: {', '.join(decoded.warnings)}")
    return decoded


def _warnings(call: Call, decoded: decode.Decoded) -> list[str]:
    return [] if _validation(call) == _IGNORE else decoded.warnings


# --- patches -------------------------------------------------------------------------------------


def _parse_patch(body: bytes, patch_type: str) -> Any:
    try:
        changes = decode.parse_json(body)
    except decode.DecodeError as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    wanted = list if patch_type == media.JSON_PATCH else dict
    if not isinstance(changes, wanted):
        raise status.bad_request(
            f"error decoding patch: json: cannot unmarshal {type(changes).__name__}"
        )
    return changes


def _apply_patch(call: Call, patch_type: str, old: resources.Object, changes: Any) -> Any:
    try:
        if patch_type == media.JSON_PATCH:
            return patch.json_patch(old, changes)
        if patch_type == media.MERGE_PATCH:
            return patch.merge(old, changes)
        return _merge_strategically(call, old, changes)
    except patch.PatchError as error:
        raise _invalid_patch(json.dumps(changes), str(error)) from error


def _merge_strategically(call: Call, old: resources.Object, changes: Any) -> Any:
    """Raises ApiError 500, as kube-apiserver does, for a directive or an item it cannot follow."""
    try:
        return strategic.merge(old, changes, call.struct)
    except patch.PatchError as error:
        raise status.failure(500, "", str(error)) from error


def _names_kind(value: Any) -> tuple[Any, Any]:
    return (value.get("apiVersion"), value.get("kind")) if isinstance(value, dict) else ("", "")


def _check_patched_kind(call: Call, patched: Any, changes: Any) -> None:
    """A patch makes no other kind of an object. A strategic one is deaf to the attempt."""
    if why := _explain_kind(call, patched):
        raise _invalid_patch(json.dumps(changes), why)


def _decode_patched(
    call: Call, patched: Any, changes: Any, warnings: list[str]
) -> resources.Object:
    try:
        decoded = _decode(call, patched, call.struct)
    except decode.DecodeError as error:
        raise _invalid_patch(json.dumps(changes), str(error)) from error
    warnings += _warnings(call, decoded)
    return decoded.object


def _invalid_patch(changes: str, why: str) -> errors.ApiError:
    """It is the request that is at fault, so no object is named."""
    report = validation.Report()
    report.invalid("patch", changes, why)
    return status.invalid(resources.Resource("", ""), "", report.causes)


# --- delete --------------------------------------------------------------------------------------


def delete(objects: registry.Registry, call: Call) -> Answer:
    namespace = call.namespace
    outcome = objects.delete(call.kind.stored, namespace, call.info.name, _delete_options(call))
    if call.kind.returns_deleted or not outcome.gone:
        return reading.render(call, outcome.stored)
    uid = outcome.stored.object["metadata"]["uid"]
    return answer(status.success(status.details_of(call.kind.resource, call.info.name, uid=uid)))


def delete_collection(objects: registry.Registry, call: Call) -> Answer:
    """Answers with the list of what it deleted."""
    chosen = reading.list_(objects.store, call)
    matches = Filter(call)
    options = _delete_options(call)
    for stored in list(objects.store.list(call.kind.stored.resource, call.namespace)):
        if matches(call.kind.show(stored).object):
            objects.delete(call.kind.stored, stored.namespace, stored.name, options)
    return chosen


def _delete_options(call: Call) -> registry.DeleteOptions:
    """From the body, or from the query: either is allowed."""
    body: Mapping[str, Any] = {}
    if call.body:
        try:
            body = decode.decode(_parse_body(call, "DeleteOptions"), "DeleteOptions").object
        except (decode.DecodeError, protobuf.ProtobufError) as error:
            raise status.bad_request(str(error)) from error
    return _read_delete_options(call, body)


def _read_delete_options(call: Call, body: Mapping[str, Any]) -> registry.DeleteOptions:
    _check_dry_run(call, body.get("dryRun") or ())
    grace: Any = body.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
    preconditions = body.get("preconditions") or {}
    try:
        return registry.DeleteOptions(
            None if grace is None else int(grace),
            preconditions.get("uid", ""),
            preconditions.get("resourceVersion", ""),
            bool(body.get("dryRun")) or call.dry_run,
            _propagation(call, body),
        )
    except ValueError:
        raise status.bad_request(f'strconv.ParseInt: parsing "{grace}": invalid syntax') from None


def _propagation(call: Call, body: Mapping[str, Any]) -> registry.Propagation:
    """What becomes of the dependents. Raises ApiError 422."""
    report = validation.Report()
    options = resources.Resource("DeleteOptions", "", "meta.k8s.io")
    if body.get("orphanDependents") is not None:
        if policy := body.get("propagationPolicy"):
            why = "orphanDependents and deletionPropagation cannot be both set"
            report.invalid("propagationPolicy", policy, why)
            raise status.invalid(options, "", report.causes)
        return "Orphan" if body["orphanDependents"] else "Background"
    asked = body.get("propagationPolicy") or call.query.get("propagationPolicy") or "Background"
    for known in registry.PROPAGATIONS:
        if asked == known:
            return known
    report.unsupported("propagationPolicy", asked, (*registry.PROPAGATIONS, ""))
    raise status.invalid(options, "", report.causes)
