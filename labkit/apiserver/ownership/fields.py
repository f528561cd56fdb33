"""A set of fields, as `managedFields` shows it.

Paths share their beginnings, so a set of them is a tree, and FieldsV1 writes the tree as JSON:

    f:metadata:
      f:labels:
        f:app: {}                              .metadata.labels.app
    f:spec:
      f:ports:
        k:{"port":80,"protocol":"TCP"}:
          .: {}                                .spec.ports[port=80,protocol="TCP"], the item itself
          f:targetPort: {}                     .spec.ports[port=80,protocol="TCP"].targetPort

`f:` is a field or a key of a map, `k:` an item of a list by its keys, `v:` a plain value in a set,
`i:` an item by its place. A leaf belongs to the set; a node with something below it belongs to the
set only if there is a dot in it. The tree is also what the server computes with: nobody changes a
set that was made, so sets share their parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: A set of paths, or a node of it. Not changed after it was made.
Fields = dict[str, Any]

ITSELF = "."
LEAF: Fields = {}
_FIELD, _KEYS, _VALUE, _INDEX = "f:", "k:", "v:", "i:"
#: Deeper than any kind's fields.
_MAX_DEPTH = 64
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode


class FieldsError(ValueError):
    """It is not a set of fields."""


# --- the steps of a path -------------------------------------------------------------------------


def field_step(name: str) -> str:
    return _FIELD + name


def keys_step(keys: Mapping[str, Any]) -> str:
    """The step to a list's item with these keys."""
    return _KEYS + _encode(keys)


def value_step(value: Any) -> str:
    """The step to a value of a set."""
    return _VALUE + _encode(value)


# --- nodes ---------------------------------------------------------------------------------------


def has_itself(node: Fields) -> bool:
    """True when the set has this place, besides what is below it."""
    return not node or ITSELF in node


def children(node: Fields) -> Fields:
    return {step: child for step, child in node.items() if step != ITSELF}


def make_node(below: Fields, *, itself: bool) -> Fields:
    """A node over `below`; without both there is no node to make."""
    return {ITSELF: LEAF, **below} if itself and below else below


# --- algebra -------------------------------------------------------------------------------------


def union(one: Fields, other: Fields) -> Fields:
    """What is in either of the two.

    >>> union({"f:a": {}}, {"f:a": {"f:b": {}}})
    {'f:a': {'.': {}, 'f:b': {}}}
    """
    result = dict(one)
    for step, node in other.items():
        mine = result.get(step)
        if mine is None:
            result[step] = node
        elif mine != node:
            below = union(children(mine), children(node))
            result[step] = make_node(below, itself=has_itself(mine) or has_itself(node))
    return result


def difference(one: Fields, other: Fields) -> Fields:
    """What is in the first and not in the second.

    >>> difference({"f:a": {".": {}, "f:b": {}}}, {"f:a": {}})
    {'f:a': {'f:b': {}}}
    """
    result = {}
    for step, node in one.items():
        theirs = other.get(step)
        if theirs is None:
            result[step] = node
            continue
        below = difference(children(node), children(theirs))
        itself = has_itself(node) and not has_itself(theirs)
        if below or itself:
            result[step] = make_node(below, itself=itself)
    return result


def intersection(one: Fields, other: Fields) -> Fields:
    """What is in both.

    >>> intersection({"f:a": {}, "f:b": {}}, {"f:b": {".": {}, "f:c": {}}})
    {'f:b': {}}
    """
    result = {}
    for step, node in one.items():
        theirs = other.get(step)
        if theirs is None:
            continue
        below = intersection(children(node), children(theirs))
        itself = has_itself(node) and has_itself(theirs)
        if below or itself:
            result[step] = make_node(below, itself=itself)
    return result


# --- in and out ----------------------------------------------------------------------------------


def parse(value: Any, depth: int = 0) -> Fields:
    """A set that a client sent, with its steps written as we write them. Raises FieldsError."""
    if not isinstance(value, dict):
        raise FieldsError(f"{value!r} stands where an object belongs")
    if depth > _MAX_DEPTH:
        raise FieldsError(f"the fields are nested deeper than {_MAX_DEPTH}")
    return {_parse_step(step): parse(below, depth + 1) for step, below in value.items()}


def _parse_step(step: str) -> str:
    kind, rest = step[:2], step[2:]
    if step == ITSELF or kind == _FIELD:
        return step
    try:
        if kind == _KEYS and isinstance(keys := json.loads(rest), dict):
            return keys_step(keys)
        if kind == _VALUE:
            return value_step(json.loads(rest))
        if kind == _INDEX:
            return f"{_INDEX}{int(rest)}"
    except ValueError as error:
        raise FieldsError(f"{step!r} is no step of a path: {error}") from error
    raise FieldsError(f"{step!r} is no step of a path: it begins with none of f: k: v: i:")


def paths(node: Fields, prefix: str = "") -> Iterator[str]:
    """The places of a set as people read them.

    >>> list(paths({"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {}}}}))
    ['.spec.ports[port=80,protocol="TCP"]']
    """
    for step in sorted(node):
        if step == ITSELF:
            continue
        path = prefix + _render_step(step)
        if has_itself(node[step]):
            yield path
        yield from paths(node[step], path)


def _render_step(step: str) -> str:
    kind, rest = step[:2], step[2:]
    if kind == _KEYS:
        keys = json.loads(rest)
        return f"[{','.join(f'{key}={_encode(keys[key])}' for key in sorted(keys))}]"
    return {_FIELD: f".{rest}", _VALUE: f"[={rest}]"}.get(kind, f"[{rest}]")
