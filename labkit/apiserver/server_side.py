"""PATCH with `application/apply-patch+yaml`: server-side apply as clients meet it.

The manifest says what its sender wants, and nothing else. The same request creates the object when
there is none. How it is merged and who owns what, `labkit.apiserver.ownership` decides; here is
what may be asked, and in which words it is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labkit import errors
from labkit.apiserver import (
    authz,
    decode,
    manifests,
    reading,
    registry,
    request_info,
    schema,
    status,
    timestamps,
    validation,
)
from labkit.apiserver.call import Answer, Call
from labkit.apiserver.ownership import applying, entries
from labkit.model import resources

_MAX_MANAGER = 128
#: Of a manifest for a subresource with a form of its own, this says which object is meant.
_MEANT = ("name", "namespace", "uid", "resourceVersion")
_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def manager_of(call: Call) -> entries.Manager:
    """Who writes: `fieldManager`, or the first word of the User-Agent. Raises ApiError 422."""
    name = call.query.get("fieldManager", "")
    report = validation.Report()
    if len(name.encode()) > _MAX_MANAGER:
        detail = f"may not be more than {_MAX_MANAGER} bytes"
        report.add("FieldValueTooLong", "fieldManager", "Too long", detail)
    if not name.isprintable():
        report.invalid("fieldManager", name, "should not contain non-printable characters")
    if report.causes:
        raise _invalid_options(call, report)
    program = call.user_agent.partition("/")[0][:_MAX_MANAGER]
    name = name or "".join(filter(str.isprintable, program)) or "unknown"
    return entries.Manager(name, "Update", call.info.subresource)


def apply(objects: registry.Registry, call: Call) -> Answer:
    """Create or change the object. Raises ApiError."""
    wanted = _read(call)
    kind, namespace, name = call.kind.stored, call.namespace, call.info.name
    now = timestamps.render(objects.clock())
    manager = wanted.manager
    if objects.store.get(kind.resource, namespace, name) is None:
        _check_create(objects, call, wanted)
        obj = _apply(call, None, wanted, now)
        stored = objects.create(kind, namespace, obj, manager=manager, dry_run=call.dry_run)
        return reading.render(call, stored, 201)
    stored = objects.update(
        kind,
        namespace,
        name,
        lambda live: _apply(call, live, wanted, now),
        subresource="" if call.form else call.info.subresource,
        manager=manager,
        dry_run=call.dry_run,
    )
    return reading.render(call, stored)


def _apply(
    call: Call, live: resources.Object | None, wanted: applying.Apply, now: str
) -> resources.Object:
    try:
        return applying.apply(live, wanted, now)
    except applying.ManifestError as error:
        raise _untyped(call, str(error)) from error
    except applying.ConflictsError as conflicts:
        raise _conflict(conflicts) from conflicts


# --- reading the request -------------------------------------------------------------------------


def _read(call: Call) -> applying.Apply:
    manager = manager_of(call)
    if not call.query.get("fieldManager"):
        report = validation.Report()
        report.required("fieldManager", "is required for apply patch")
        raise _invalid_options(call, report)
    manifest = _decode(call, _parse(call))
    if call.form:
        known = manifest.get("metadata") or {}
        meant = {field: known[field] for field in _MEANT if field in known}
        manifest = {"metadata": meant, "spec": manifest.get("spec") or {}}
    else:
        manifest = call.kind.take(manifest)
    force = request_info.is_true(call.query.get("force"))
    return applying.Apply(
        manifest, call.kind.stored, manager.name, call.info.subresource, force=force
    )


def _parse(call: Call) -> resources.Object:
    try:
        value = manifests.parse(call.body)
    except decode.DecodeError as error:
        raise status.bad_request(f"error decoding YAML: {error}") from error
    if not isinstance(value, dict):
        raise status.bad_request("error decoding YAML: an apply patch is an object")
    _check_version(call, value)
    if (value.get("metadata") or {}).get("managedFields") is not None:
        raise status.bad_request("metadata.managedFields must be nil")
    return value


def _check_version(call: Call, value: resources.Object) -> None:
    """Unlike other patches, a manifest says what it is."""
    kind, version = value.get("kind") or "", value.get("apiVersion") or ""
    if version != call.api_version:
        raise status.bad_request(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {version}, expected: {call.api_version}"
        )
    if kind != schema.bare(call.struct):
        raise status.bad_request(f"invalid object type: {version}, Kind={kind}")


def _decode(call: Call, value: resources.Object) -> resources.Object:
    """Raises ApiError 500, as kube-apiserver does, for what the schema does not have."""
    try:
        decoded = decode.decode(value, call.struct)
    except decode.DecodeError as error:
        raise _untyped(call, str(error)) from error
    problems = [f".{path}: field not declared in schema" for path in decoded.unknown]
    if problems:
        listed = problems[0] if len(problems) == 1 else "errors:\n  " + "\n  ".join(problems)
        raise _untyped(call, listed)
    return decoded.object


def _check_create(objects: registry.Registry, call: Call, wanted: applying.Apply) -> None:
    """Who applies what does not exist must be allowed to create it."""
    info, resource = call.info, call.kind.resource
    if info.subresource:
        raise status.not_found(resource, info.name)
    asked = replace(info, verb="create")
    verdict = authz.authorize(call.user, asked, objects.find_pod)
    if verdict.allowed and resource == resources.NODES:
        verdict = authz.may_create_node(call.user, info.name)
    if not verdict.allowed:
        why = verdict.why or authz.explain_denial(call.user, asked)
        raise status.forbidden(resource, info.name, why)
    meta = wanted.manifest.setdefault("metadata", {})
    if uid := meta.get("uid"):
        why = (
            f"uid mismatch: the provided object specified uid {uid}, "
            "and no existing object was found"
        )
        raise status.conflict(resource, info.name, why)
    if meta.setdefault("name", info.name) != info.name:
        raise status.bad_request(
            f"the name of the object ({meta['name']}) does not match "
            f"the name on the URL ({info.name})"
        )


# --- refusals ------------------------------------------------------------------------------------


def _invalid_options(call: Call, report: validation.Report) -> errors.ApiError:
    kind = _OPTIONS.get(call.info.verb, "PatchOptions")
    return status.invalid(resources.Resource(kind, "", "meta.k8s.io"), "", report.causes)


def _untyped(call: Call, why: str) -> errors.ApiError:
    group, _, version = call.api_version.rpartition("/")
    what = f"{call.info.namespace}/{call.info.name}; {group}/{version}, Kind={call.struct}"
    return status.failure(500, "", f"failed to create typed patch object ({what}): {why}")


def _conflict(conflicts: applying.ConflictsError) -> errors.ApiError:
    """409 with a cause for each field. kubectl prints the message as it is."""
    causes: list[Any] = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {manager}",
            "field": path,
        }
        for manager, path in conflicts.paths
    ]
    return status.failure(409, "Conflict", _describe(conflicts), {"causes": causes})


def _describe(conflicts: applying.ConflictsError) -> str:
    found = conflicts.paths
    if len(found) == 1:
        ((manager, path),) = found
        return f"Apply failed with 1 conflict: conflict with {manager}: {path}"
    lines: list[str] = []
    for manager in dict.fromkeys(manager for manager, _ in found):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {path}" for owner, path in found if owner == manager]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
