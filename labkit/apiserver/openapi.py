"""OpenAPI, rendered from the table of kinds and their structs.

kubectl reads it for three things: whether the server validates fields itself (the `fieldValidation`
parameter of PATCH), which lists of a kind merge by which key (`x-kubernetes-patch-*`), and what
`kubectl explain` prints. Rendered when first asked for, then kept.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from labkit.apiserver import discovery, kinds, media, schema
from labkit.apiserver.kinds import kind as kind_module

_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {"type": "object"},
}
_MIXED = {"intstr": "int-or-string", "quantity": "quantity"}
_QUERY = ("dryRun", "fieldManager", "fieldValidation")


def prefix_of(group: str, version: str) -> str:
    """`api/v1`, `apis/apps/v1`: a group and version as /openapi/v3 lists them."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def render_index() -> bytes:
    """/openapi/v3: where each group's document is. The hash lets clients keep what they have."""
    paths = {}
    for group, version in kinds.group_versions():
        prefix = prefix_of(group, version)
        digest = hashlib.sha256(render_v3(group, version)).hexdigest()[:32].upper()
        paths[prefix] = {"serverRelativeURL": f"/openapi/v3/{prefix}?hash={digest}"}
    return _encode({"paths": paths})


@functools.cache
def render_v3(group: str, version: str) -> bytes:
    members = kinds.of_group(group, version)
    paths = {path: _path_v3(kind) for kind in members for path in [_path(kind)]}
    schemas = _schemas(members, "#/components/schemas/")
    return _encode(
        {"openapi": "3.0.0", "info": _info(), "paths": paths, "components": {"schemas": schemas}}
    )


@functools.cache
def render_v2() -> bytes:
    """/openapi/v2: all groups in one document, for older clients."""
    paths = {_path(kind): _path_v2(kind) for kind in kinds.KINDS}
    definitions = _schemas(kinds.KINDS, "#/definitions/")
    return _encode({"swagger": "2.0", "info": _info(), "paths": paths, "definitions": definitions})


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _info() -> dict[str, str]:
    return {"title": "Kubernetes", "version": discovery.version()["gitVersion"]}


def _path(kind: kind_module.Kind) -> str:
    return kind.resource.path("{namespace}" if kind.resource.namespaced else "", "{name}")


def _path_v3(kind: kind_module.Kind) -> dict[str, Any]:
    parameters = [{"name": n, "in": "query", "schema": {"type": "string"}} for n in _QUERY]
    content = {patch: {"schema": {"type": "object"}} for patch in media.PATCHES}
    operation = {"parameters": parameters, "requestBody": {"content": content}}
    return {"patch": {**_operation(kind), **operation}}


def _path_v2(kind: kind_module.Kind) -> dict[str, Any]:
    parameters = [{"name": n, "in": "query", "type": "string"} for n in _QUERY]
    operation = {"consumes": list(media.PATCHES), "parameters": parameters}
    return {"patch": {**_operation(kind), **operation}}


def _operation(kind: kind_module.Kind) -> dict[str, Any]:
    return {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": _gvk(kind),
        "responses": {"200": {"description": "OK"}},
    }


def _gvk(kind: kind_module.Kind) -> dict[str, str]:
    resource = kind.resource
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _schemas(members: tuple[kind_module.Kind, ...], root: str) -> dict[str, Any]:
    by_struct = {kind.struct: kind for kind in members}
    return {
        definition_name(name): _struct(name, root, by_struct.get(name))
        for name in sorted(schema.reachable(tuple(by_struct)))
    }


def definition_name(struct: str) -> str:
    """The name by which clients know a struct's definition.

    >>> definition_name("ObjectMeta"), definition_name("ServicePort")
    ('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta', 'io.k8s.api.core.v1.ServicePort')
    """
    return f"{schema.package_of(struct)}.{schema.bare(struct)}"


def _struct(name: str, root: str, kind: kind_module.Kind | None) -> dict[str, Any]:
    fields = schema.fields_of(name)
    definition: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: _field(field, root) for field in fields.values()},
    }
    if required := [field.name for field in fields.values() if field.required]:
        definition["required"] = required
    if kind:
        definition["x-kubernetes-group-version-kind"] = [_gvk(kind)]
    return definition


def _field(field: schema.Field, root: str) -> dict[str, Any]:
    return {**_type(field.type, root), **dict(_extensions(field))}


def _type(kind: schema.Type, root: str) -> dict[str, Any]:
    bottom = _bottom(kind.name, root)
    if kind.shape == "list":
        return {"type": "array", "items": bottom}
    if kind.shape == "map":
        return {"type": "object", "additionalProperties": bottom}
    return bottom


def _bottom(name: str, root: str) -> dict[str, Any]:
    if name in _SCALARS:
        return _SCALARS[name]
    if name not in _MIXED:
        return {"$ref": root + definition_name(name)}
    if "components" in root:
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    return {"type": "string", "format": _MIXED[name]}


def _extensions(field: schema.Field) -> Iterator[tuple[str, Any]]:
    if field.merge_key is None:
        return
    yield "x-kubernetes-patch-strategy", "merge"
    if field.merge_key:
        yield "x-kubernetes-patch-merge-key", field.merge_key
        yield "x-kubernetes-list-type", "map"
        yield "x-kubernetes-list-map-keys", [field.merge_key]
