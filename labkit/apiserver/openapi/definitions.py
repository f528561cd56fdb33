"""Structs as OpenAPI defines them: `ServiceSpec` with its properties, and how they merge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.apiserver import schema
from labkit.apiserver.kinds import kind as kind_module
from labkit.apiserver.openapi import explanations

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_TIME = {"type": "string", "format": "date-time"}
_INLINE: Mapping[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {"type": "object"},
}
#: Scalars that have a definition of their own, by which clients know them.
_NAMED = {
    "time": f"{_META}.Time",
    "microtime": f"{_META}.MicroTime",
    "intstr": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
}
#: What requests and answers hold besides the kinds.
_COMMON = ("DeleteOptions", "Status", "ListMeta")
PATCH = f"{_META}.Patch"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One generation of OpenAPI: where definitions are, and how a scalar of two types is said."""

    version: int
    root: str

    def reference(self, definition: str) -> dict[str, Any]:
        return {"$ref": self.root + definition}

    def scalar(self, name: str) -> dict[str, Any]:
        if name in ("time", "microtime"):
            return _TIME
        if self.version == 2:
            return {"type": "string", **_format(name)}
        first, second = ("integer", "string") if name == "intstr" else ("string", "number")
        return {"oneOf": [{"type": first}, {"type": second}], **_format(name)}


V2 = Dialect(2, "#/definitions/")
V3 = Dialect(3, "#/components/schemas/")

_Gvk = dict[str, str]


def _format(name: str) -> dict[str, str]:
    return {"format": "int-or-string"} if name == "intstr" else {}


def name_of(struct: str) -> str:
    """The name by which clients know a struct's definition.

    >>> name_of("ObjectMeta"), name_of("ServicePort")
    ('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta', 'io.k8s.api.core.v1.ServicePort')
    """
    return f"{schema.package_of(struct)}.{schema.bare(struct)}"


def gvk(group: str, version: str, kind: str) -> _Gvk:
    return {"group": group, "version": version, "kind": kind}


def gvk_of(kind: kind_module.Kind) -> _Gvk:
    return gvk(kind.resource.group, kind.resource.version, kind.resource.kind)


def render(
    members: Iterable[kind_module.Kind], dialect: Dialect, words: explanations.Words
) -> dict[str, Any]:
    """The definitions of these kinds, of their lists, and of all that they lead to."""
    known = _kinds_of_structs(members)
    found = {name_of(name): _struct(name, known, dialect, words) for name in _reached(known)}
    for kind in members:
        if "list" in kind.verbs:
            found[f"{name_of(kind.struct)}List"] = _list(kind, dialect)
    for name, definition in _NAMED.items():
        text = words[explanations.EVERY].fields[name].text
        found[definition] = {"description": text, **dialect.scalar(name)}
    found[PATCH] = {"type": "object", "description": "A change, in one of the patch formats."}
    return dict(sorted(found.items()))


def _kinds_of_structs(members: Iterable[kind_module.Kind]) -> dict[str, list[_Gvk]]:
    """Which kind an object of a struct is, where it can travel on its own."""
    found = {name: [gvk("", "v1", name)] for name in ("DeleteOptions", "Status")}
    for kind in members:
        for below in kind.further:
            found[below.struct] = [gvk(below.group, below.version, schema.bare(below.struct))]
        found[kind.struct] = [gvk_of(kind)]
    return found


def _reached(known: Iterable[str]) -> Iterator[str]:
    return schema.reachable((*known, *_COMMON))


def _struct(
    name: str, known: Mapping[str, list[_Gvk]], dialect: Dialect, words: explanations.Words
) -> dict[str, Any]:
    fields = schema.fields_of(name)
    definition: dict[str, Any] = {"type": "object"}
    if name in words:
        definition["description"] = words[name].text
    definition["properties"] = {
        field.name: _property(field, explanations.of_field(words, name, field), dialect)
        for field in fields.values()
    }
    if required := [field.name for field in fields.values() if field.required]:
        definition["required"] = required
    if name in schema.ATOMIC:
        definition["x-kubernetes-map-type"] = "atomic"
    if name in known:
        definition["x-kubernetes-group-version-kind"] = known[name]
    return definition


def _list(kind: kind_module.Kind, dialect: Dialect) -> dict[str, Any]:
    name = kind.resource.kind
    text = {"type": "string"}
    items = {"type": "array", "items": dialect.reference(name_of(kind.struct))}
    return {
        "type": "object",
        "description": f"A list of objects of the kind {name}.",
        "properties": {
            "apiVersion": text,
            "items": items,
            "kind": text,
            "metadata": dialect.reference(name_of("ListMeta")),
        },
        "required": ["items"],
        "x-kubernetes-group-version-kind": [{**gvk_of(kind), "kind": f"{name}List"}],
    }


# --- fields --------------------------------------------------------------------------------------


def _property(field: schema.Field, told: explanations.Told, dialect: Dialect) -> dict[str, Any]:
    value, more = _type(field.type, dialect), {**_facts(field, told), **dict(_extensions(field))}
    if "$ref" in value and more and dialect.version == 3:
        # What stands beside a reference does not count in version 3.
        return {"allOf": [value], **more}
    return {**value, **more}


def _type(kind: schema.Type, dialect: Dialect) -> dict[str, Any]:
    bottom = _bottom(kind.name, dialect)
    if kind.shape == "list":
        return {"type": "array", "items": bottom}
    if kind.shape == "map":
        return {"type": "object", "additionalProperties": bottom}
    return bottom


def _bottom(name: str, dialect: Dialect) -> dict[str, Any]:
    if name in _INLINE:
        return _INLINE[name]
    return dialect.reference(_NAMED.get(name) or name_of(name))


def _facts(field: schema.Field, told: explanations.Told) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if told.text:
        facts["description"] = told.text
    if told.enum:
        facts["enum"] = list(told.enum)
    if told.default:
        facts["default"] = _default(told.default, field.type.name)
    return facts


def _default(text: str, name: str) -> str | int | bool:
    """A field's default as a value of the field's type.

    >>> _default("10800", "int32"), _default("false", "bool"), _default("TCP", "string")
    (10800, False, 'TCP')
    """
    if name == "bool":
        return text == "true"
    return int(text) if name in ("int32", "int64") else text


def _extensions(field: schema.Field) -> Iterator[tuple[str, Any]]:
    """How clients and server-side apply merge the field."""
    strategies = ["merge"] if field.merge_key is not None else []
    if field.type.name in schema.UNIONS and field.type.shape != "map":
        strategies.append("retainKeys")
    if strategies:
        yield "x-kubernetes-patch-strategy", ",".join(strategies)
    if field.merge_key:
        yield "x-kubernetes-patch-merge-key", field.merge_key
    if field.type.shape == "list":
        yield "x-kubernetes-list-type", field.list_type
        if field.map_keys:
            yield "x-kubernetes-list-map-keys", list(field.map_keys)
    if field.type.shape == "map" and field.apply_keys is not None:
        yield "x-kubernetes-map-type", "atomic"
