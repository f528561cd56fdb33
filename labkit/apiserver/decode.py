"""From the bytes of a request to an object that has only known fields of the right types.

A real API server is written in Go, and its decoder's words reach the person who typed the manifest:
`json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32`. So
the words are kept here. A wrong type is always an error. An unknown field is dropped, and
reported: how loudly is the client's choice (`fieldValidation=Strict|Warn|Ignore`). A null is as
good as no field.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.apiserver import quantities, schema, timestamps
from labkit.model import resources

_INTEGERS = {"int32": 2**31, "int64": 2**63}
_KINDS = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}
_SCALARS = {
    "time": "v1.Time",
    "microtime": "v1.MicroTime",
    "quantity": "resource.Quantity",
    "bytes": "[]uint8",
}


class DecodeError(Exception):
    """The body cannot be an object of the kind; the text is the Go decoder's."""


@dataclass(slots=True)
class Decoded:
    """An object with known fields only, and the paths of those that were not."""

    object: resources.Object
    unknown: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        return [f'unknown field "{path}"' for path in self.unknown]


def parse_json(body: bytes) -> Any:
    """Raises DecodeError for what is not JSON, also for the NaN that Python would take."""
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"json parse error: {error}") from error


def _refuse_constant(word: str) -> None:
    raise ValueError(f"invalid character '{word[0]}' looking for beginning of value")


def decode(value: Any, struct: str) -> Decoded:
    """Raises DecodeError when a field has the wrong type."""
    if not isinstance(value, dict):
        raise DecodeError(
            f"json: cannot unmarshal {_kind(value)} into Go value of type {go_type(struct)}"
        )
    decoded = Decoded({})
    decoded.object = _Walk(decoded.unknown).struct(value, struct, "", ())
    return decoded


class _Walk:
    """One descent. `path` is what people read (`spec.ports[0]`), `stack` what Go reports."""

    def __init__(self, unknown: list[str]) -> None:
        self._unknown = unknown

    def struct(
        self, value: dict[str, Any], name: str, path: str, stack: tuple[str, ...]
    ) -> dict[str, Any]:
        known = schema.fields_of(name)
        result: dict[str, Any] = {}
        for key, item in value.items():
            here = f"{path}.{key}" if path else key
            if key not in known:
                self._unknown.append(here)
            elif item is not None:
                where = _Where(name, (*stack, key))
                found = self._field(item, known[key].type, here, where)
                # Protobuf, in which Kubernetes keeps its objects, has no empty lists and maps.
                if found or known[key].required or known[key].type.shape == "one":
                    result[key] = found
        return result

    def _field(self, value: Any, kind: schema.Type, path: str, where: _Where) -> Any:
        if kind.shape == "list":
            where.demand(value, list, f"[]{go_type(kind.name)}")
            items = enumerate(value)
            return [self._one(item, kind.name, f"{path}[{i}]", where) for i, item in items]
        if kind.shape == "map":
            where.demand(value, dict, f"map[string]{go_type(kind.name)}")
            entries = value.items()
            return {
                key: self._one(item, kind.name, f"{path}.{key}", where) for key, item in entries
            }
        return self._one(value, kind.name, path, where)

    def _one(self, value: Any, name: str, path: str, where: _Where) -> Any:
        if name in schema.structs():
            where.demand(value, dict, go_type(name))
            return self.struct(value, name, path, where.stack)
        return where.scalar(value, name)


@dataclass(frozen=True, slots=True)
class _Where:
    """The field being decoded: the struct that has it, and the names that lead to it."""

    struct: str
    stack: tuple[str, ...]

    def demand(self, value: Any, wanted: type, go_name: str) -> None:
        if type(value) is not wanted:
            raise self._error(_kind(value), go_name)

    def scalar(self, value: Any, name: str) -> Any:
        if name in _INTEGERS:
            return self._integer(value, name)
        if name == "string":
            # A null among a list's or a map's strings is Go's zero value.
            self.demand("" if value is None else value, str, "string")
            return value or ""
        if name == "bool":
            self.demand(value, bool, "bool")
            return value
        check = _CHECKS.get(name)
        if check:
            return check(self, value)
        return self._time(value, name) if name.endswith("time") else value

    def _integer(self, value: Any, name: str) -> int:
        if type(value) not in (int, float):
            raise self._error(_kind(value), name)
        limit = _INTEGERS[name]
        if value != int(value) or not -limit <= value < limit:
            raise self._error(f"number {json.dumps(value)}", name)
        return int(value)

    def _intstr(self, value: Any) -> Any:
        if type(value) is str:
            return value
        if type(value) is int and -(2**31) <= value < 2**31:
            return value
        found = f"number {value}" if type(value) in (int, float) else _kind(value)
        raise DecodeError(f"json: cannot unmarshal {found} into Go value of type int32")

    def _quantity(self, value: Any) -> str:
        text = str(value) if type(value) in (int, float) else value
        if type(text) is not str or not quantities.SYNTAX.fullmatch(text):
            raise DecodeError(quantities.SYNTAX_ERROR)
        return text

    def _bytes(self, value: Any) -> str:
        self.demand(value, str, "[]uint8")
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise DecodeError("illegal base64 data") from error
        return str(value)

    def _time(self, value: Any, name: str) -> str:
        self.demand(value, str, _SCALARS[name])
        if not timestamps.is_valid(value):
            layout = "2006-01-02T15:04:05Z07:00"
            raise DecodeError(f'parsing time "{value}" as "{layout}": cannot parse "{value}"')
        return str(value)

    def _error(self, found: str, go_name: str) -> DecodeError:
        path = ".".join((schema.bare(self.struct), *self.stack))
        return DecodeError(
            f"json: cannot unmarshal {found} into Go struct field {path} of type {go_name}"
        )


#: Scalars with a check of their own.
_CHECKS: Mapping[str, Callable[[_Where, Any], Any]] = {
    "intstr": _Where._intstr,
    "quantity": _Where._quantity,
    "bytes": _Where._bytes,
}


def go_type(name: str) -> str:
    """The name by which Go speaks of a type: structs belong to package v1.

    >>> go_type("ServicePort"), go_type("int32")
    ('v1.ServicePort', 'int32')
    """
    struct = schema.bare(name)
    return f"v1.{struct}" if struct[0].isupper() else _SCALARS.get(name, name)


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")
