"""OpenAPI version 2 in protobuf, as clients written in Go ask for it.

The message types are those of the library gnostic, told here in the notation of the schemas. Where
a field has two numbers, protobuf has a message in between: `definitions` is a message, field 9,
whose field 1 holds the definitions, each as a pair of name (1) and value (2). What OpenAPI leaves
open (defaults, extensions) travels as YAML, and JSON is YAML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from labkit.apiserver import schema

_MESSAGES = schema.parse_structs("""
Document
  swagger:string#1 info:Info#2 paths:{}PathItem#8.2 definitions:{}Schema#9.1
Info
  title:string#1 version:string#2
PathItem
  get:Operation#2 put:Operation#3 post:Operation#4 delete:Operation#5 patch:Operation#8
  parameters:[]Parameter#9
Operation
  tags:[]string#1 operationId:string#5 produces:[]string#6 consumes:[]string#7
  parameters:[]Parameter#8 responses:{}ResponseValue#9.1 extensions:{}any#13
ResponseValue
  description:string#1.1 schema:Schema#1.2.1
BodyParameter
  name:string#2 in:string#3 required:bool#4 schema:Schema#5
OtherParameter
  required:bool#1 in:string#2 description:string#3 name:string#4 type:string#6
PathParameter
  required:bool#1 in:string#2 description:string#3 name:string#4 type:string#5
Schema
  $ref:string#1 format:string#2 description:string#4 default:any#5 required:[]string#19
  enum:[]any#20 additionalProperties:Schema#21.1 type:[]string#22.1 items:Schema#23.1
  properties:{}Schema#25.1 extensions:{}any#31
""")
#: A parameter's message, and the numbers of the messages around it, by where the parameter is.
_PARAMETERS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "body": ("BodyParameter", (1, 1)),
    "query": ("OtherParameter", (1, 2, 3)),
    "path": ("PathParameter", (1, 2, 4)),
}
_LENGTH_DELIMITED = 2


def encode(document: Mapping[str, Any]) -> bytes:
    """An OpenAPI document of version 2, as protobuf."""
    return _message(document, "Document")


def _message(value: Mapping[str, Any], name: str) -> bytes:
    extensions = {key: item for key, item in value.items() if key.startswith("x-")}
    known = {key: item for key, item in value.items() if key not in extensions}
    if extensions:
        known["extensions"] = extensions
    fields = _MESSAGES[name]
    return b"".join(_field(fields[key], item) for key, item in known.items())


def _field(field: schema.Field, value: Any) -> bytes:
    *around, number = field.numbers
    if field.type.name == "bool":
        return varint(number << 3) + varint(int(value)) if value else b""
    items = b"".join(_delimited(number, item) for item in _items(field, value))
    return _wrap(items, tuple(around))


def _items(field: schema.Field, value: Any) -> Iterator[bytes]:
    name = field.type.name
    if field.type.shape == "map":
        for key, item in value.items():
            yield _delimited(1, key.encode()) + _delimited(2, _value(item, name))
    elif field.type.shape == "list":
        for item in value if isinstance(value, list) else [value]:
            yield _value(item, name)
    else:
        yield _value(value, name)


def _value(value: Any, name: str) -> bytes:
    if name == "string":
        return str(value).encode()
    if name == "any":
        return _delimited(2, json.dumps(value, ensure_ascii=False).encode())
    if name == "Parameter":
        message, around = _PARAMETERS[value["in"]]
        return _wrap(_message(value, message), around)
    return _message(value, name)


# --- the wire ------------------------------------------------------------------------------------


def _wrap(data: bytes, numbers: tuple[int, ...]) -> bytes:
    """Put `data` into a message, that into another, ...; the outermost number comes first."""
    for number in reversed(numbers):
        data = _delimited(number, data)
    return data


def _delimited(number: int, data: bytes) -> bytes:
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first.

    >>> list(varint(300))
    [172, 2]
    """
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
