"""Objects as Go's typed clients send them: protobuf.

`kubectl create namespace` and `kubectl create service` send their objects so, and do not fall back
to JSON when they are refused. (What they want back they also take as JSON, so nothing is ever
encoded.) A body is four bytes of magic, then an envelope that says the kind and holds the object:

    Unknown  1: TypeMeta (1: apiVersion, 2: kind)   2: the object's bytes

The numbers of all fields stand in the schemas. What comes out is the object as it would be in JSON,
where Go leaves zero values out.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from labkit.apiserver import schema, timestamps
from labkit.model import resources

MAGIC = b"k8s\x00"

#: A field of a message: its number, and its value as the wire has it.
Wire = tuple[int, int | bytes]
#: A message's fields by number; an embedded struct is a plan within the plan.
Plan = Mapping[int, "schema.Field | Plan"]


class ProtobufError(Exception):
    """The bytes are not what they should be."""


def decode(body: bytes, struct_name: str) -> resources.Object:
    """The object in an envelope. Raises ProtobufError."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message")
    try:
        envelope = dict(read_message(body[len(MAGIC) :]))
        kind = dict(read_message(_bytes(envelope.get(1, b""))))
        obj = _struct(_bytes(envelope.get(2, b"")), plan(struct_name))
        texts = {"apiVersion": kind.get(1, b""), "kind": kind.get(2, b"")}
        return {**{name: _bytes(text).decode() for name, text in texts.items() if text}, **obj}
    except (IndexError, ValueError, struct.error) as error:
        raise ProtobufError(f"the protobuf message is damaged: {error}") from error


# --- the wire ------------------------------------------------------------------------------------


def read_message(data: bytes) -> Iterator[Wire]:
    """The fields of a message, in the order in which they stand."""
    position = 0
    while position < len(data):
        tag, position = read_varint(data, position)
        number, form = tag >> 3, tag & 7
        value: int | bytes
        if form == 0:
            value, position = read_varint(data, position)
        elif form == 2:
            length, position = read_varint(data, position)
            value, position = data[position : position + length], position + length
            if len(value) < length:
                raise ValueError("it ends too early")
        elif form in (1, 5):
            size = 8 if form == 1 else 4
            value, position = data[position : position + size], position + size
        else:
            raise ValueError(f"wire type {form} is unknown")
        yield number, value


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first; returns it and where the next field is.

    >>> read_varint(bytes([0xAC, 0x02]), 0)
    (300, 2)
    """
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError(f"found the number {value} where bytes belong")  # noqa: TRY004
    return value


def _signed(value: int | bytes) -> int:
    """Negative numbers travel as 64-bit two's complement."""
    number = value if isinstance(value, int) else int.from_bytes(value, "little")
    return number - 2**64 if number >= 2**63 else number


# --- structs -------------------------------------------------------------------------------------


@functools.cache
def plan(struct_name: str) -> Plan:
    """Which number is which field."""
    found: dict[int, Any] = {}
    for field in schema.fields_of(struct_name).values():
        level = found
        for number in field.numbers[:-1]:
            level = level.setdefault(number, {})
        if field.numbers:
            level[field.numbers[-1]] = field
    return found


def _struct(data: bytes, fields: Plan) -> resources.Object:
    result: resources.Object = {}
    for number, value in read_message(data):
        field = fields.get(number)
        if isinstance(field, schema.Field):
            _put(result, field, value)
        elif field is not None:
            result.update(_struct(_bytes(value), field))
    return result


def _put(result: resources.Object, field: schema.Field, value: int | bytes) -> None:
    """Repeated fields come one item at a time; so do the entries of a map."""
    if field.type.shape == "list":
        result.setdefault(field.name, []).append(_value(value, field.type.name))
    elif field.type.shape == "map":
        entry = dict(read_message(_bytes(value)))
        key = _bytes(entry.get(1, b"")).decode()
        result.setdefault(field.name, {})[key] = _value(entry.get(2, b""), field.type.name)
    else:
        found = _value(value, field.type.name)
        is_struct = isinstance(found, dict)
        if found or is_struct or (field.zero_counts and found is not None):
            result[field.name] = found


def _value(value: int | bytes, name: str) -> Any:
    if name in ("int32", "int64"):
        return _signed(value)
    if name == "bool":
        return bool(value)
    data = _bytes(value)
    if name == "string":
        return data.decode()
    if name == "bytes":
        return base64.b64encode(data).decode()
    if name == "float64":
        return struct.unpack("<d", data)[0]
    if name in schema.structs():
        return _struct(data, plan(name))
    return _special(data, name)


def _special(data: bytes, name: str) -> Any:
    """What is a message in protobuf, and something simpler in JSON. None: there is no value."""
    fields = dict(read_message(data))
    if name == "intstr":
        by_name = _signed(fields.get(1, 0)) == 1
        return _bytes(fields.get(3, b"")).decode() if by_name else _signed(fields.get(2, 0))
    if name == "quantity":
        return _bytes(fields.get(1, b"")).decode()
    if name in ("time", "microtime"):
        seconds = _signed(fields.get(1, 0))
        return timestamps.render(seconds) if fields else None
    return None
