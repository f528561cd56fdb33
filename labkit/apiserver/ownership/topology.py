"""Which parts of an object can have owners of their own.

The schemas say it: a struct's fields and a map's entries can, each for itself; so can the items of
a list whose items are known by keys, and the values of a set. Everything else has one owner as a
whole: plain values, most lists, and a few structs and maps that only make sense as a whole, such as
a selector.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labkit.apiserver import schema
from labkit.apiserver.ownership import fields

#: What has no owner: what the object is, and what the server decides.
_NOBODYS: Mapping[str, frozenset[str]] = {
    "object": frozenset({"apiVersion", "kind"}),
    "metadata": frozenset(
        {
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "generation",
            "managedFields",
            "resourceVersion",
        }
    ),
}
#: A key that a manifest may leave out.
_KEY_DEFAULTS: Mapping[str, str] = {"protocol": "TCP"}
#: Structs that Kubernetes' own programs hold by value: where the struct around them is, they are,
#: if perhaps empty. So nobody has added them. So are all structs called Spec or Status.
_BY_VALUE = frozenset(
    {
        "ContainerState",
        "DaemonEndpoint",
        "DeploymentStrategy",
        "EndpointConditions",
        "EventSource",
        "NodeDaemonEndpoints",
        "NodeSystemInfo",
        "ObjectMeta",
        "PodTemplateSpec",
        "ResourceRequirements",
    }
)


@dataclass(frozen=True, slots=True)
class Type:
    """How the parts of a value are owned: `whole`, or by `struct` fields, map keys, items, ..."""

    form: Literal["whole", "struct", "map", "items", "set"]
    #: The struct itself, or that of the map's values or the list's items; empty for plain ones.
    struct: str = ""
    #: By which the items are known.
    keys: tuple[str, ...] = ()
    #: There whenever what is around it is there.
    implied: bool = False
    #: The struct is the object itself, or its metadata: much of that nobody can own.
    part: Literal["", "object", "metadata"] = ""

    @property
    def members(self) -> Members:
        return _members(self.struct, self.part)

    @property
    def inner(self) -> Type:
        """The type of a map's values or of a list's items."""
        return of_struct(self.struct) if self.struct else WHOLE

    def at(self, key: str) -> Type:
        """The type of a struct's field or of a map's entry."""
        if self.form == "map":
            return self.inner
        return self.members[key][1] if key in self.members else WHOLE

    def step_to(self, item: Any) -> str:
        """The step to an item of the list."""
        if self.form == "set":
            return fields.value_step(item)
        keys = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in self.keys}
        return fields.keys_step({key: value for key, value in keys.items() if value is not None})

    def missing_key(self, item: Mapping[str, Any]) -> str:
        """The key that the item would need; empty when it has all."""
        absent = (key for key in self.keys if key not in item and key not in _KEY_DEFAULTS)
        return next(absent, "")


WHOLE = Type("whole")

#: For each field of a struct: its step, and its type.
Members = Mapping[str, tuple[str, Type]]


def of_object(struct: str) -> Type:
    """An object of the kind, less what it is and what the server decides."""
    return Type("struct", struct, part="object")


@functools.cache
def of_struct(name: str) -> Type:
    return WHOLE if name in schema.ATOMIC or not schema.fields_of(name) else Type("struct", name)


@functools.cache
def _members(struct: str, part: str) -> Members:
    found = {
        name: (fields.field_step(name), _of_field(field))
        for name, field in schema.fields_of(struct).items()
        if name not in _NOBODYS.get(part, ())
    }
    if part == "object" and "metadata" in found:
        own = Type("struct", "ObjectMeta", implied=True, part="metadata")
        found["metadata"] = (fields.field_step("metadata"), own)
    return found


def _of_field(field: schema.Field) -> Type:
    bottom = field.type.name
    known = of_struct(bottom)
    if field.type.shape == "one":
        implied = bottom in _BY_VALUE or bottom.endswith(("Spec", "Status"))
        return Type(known.form, known.struct, implied=implied)
    if field.type.shape == "map":
        return Type("map", known.struct) if field.apply_keys is None else WHOLE
    if field.list_type == "map":
        return Type("items", known.struct, field.map_keys, implied=field.required)
    return Type("set") if field.list_type == "set" else WHOLE
