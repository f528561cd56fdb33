"""Two of the three ways to change part of an object; the third is `strategic`.

    merge patch   RFC 7386: an object is merged, a list is replaced, null removes
    JSON patch    RFC 6902: a list of operations on paths; all of them or none

Both are pure: they return a new object and leave what they were given alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

#: As kube-apiserver's. A few operations that copy what the one before has copied fill any memory.
MAX_OPERATIONS = 10_000
MAX_COPIED_BYTES = 3 * 1024 * 1024


class PatchError(Exception):
    """The patch cannot be applied to this object."""


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386.

    >>> merge({"a": 1, "b": [1, 2]}, {"a": None, "b": [3]})
    {'b': [3]}
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def json_patch(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """RFC 6902. Raises PatchError when an operation cannot be done.

    >>> json_patch({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}])
    {'a': [1, 2, 3]}
    """
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(
            f"the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, "
            f"got {len(operations)}"
        )
    document = [copy.deepcopy(target)]
    copied = 0
    for operation in operations:
        try:
            copied += _operate(document, operation)
            if copied > MAX_COPIED_BYTES:
                raise PatchError(f"its copies are larger than the limit of {MAX_COPIED_BYTES}")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            path = operation.get("path") if isinstance(operation, Mapping) else operation
            raise PatchError(f"the operation on {path!r} cannot be done: {error}") from error
    return document[0]


def _operate(document: list[Any], operation: Mapping[str, Any]) -> int:
    """Return how many bytes of JSON were copied."""
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            _add(document, path, copy.deepcopy(operation["value"]))
        case "remove":
            _remove(document, path)
        case "replace":
            _remove(document, path)
            _add(document, path, copy.deepcopy(operation["value"]))
        case "move":
            _add(document, path, _remove(document, _pointer(operation["from"])))
        case "copy":
            found = json.dumps(_find(document, _pointer(operation["from"])))
            _add(document, path, json.loads(found))
            return len(found)
        case "test":
            if _find(document, path) != operation["value"]:
                raise ValueError("testing value failed")
        case other:
            raise ValueError(f"unexpected kind: {other}")
    return 0


def _pointer(text: str) -> list[str]:
    """`/a/b~1c` as steps. The document stands in a list of one, so that its root has a parent."""
    if text and not text.startswith("/"):
        raise ValueError("a path begins with a slash")
    return ["0", *(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])]


def _step(value: Any, step: str) -> Any:
    return value[int(step)] if isinstance(value, list) else value[step]


def _find(value: Any, path: Sequence[str]) -> Any:
    for step in path:
        value = _step(value, step)
    return value


def _add(document: Any, path: Sequence[str], value: Any) -> None:
    parent, last = _find(document, path[:-1]), path[-1]
    if len(path) == 1:
        document[:] = [value]
    elif isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if not 0 <= index <= len(parent):
            raise IndexError("index out of bounds")
        parent.insert(index, value)
    else:
        parent[last] = value


def _remove(document: Any, path: Sequence[str]) -> Any:
    parent, last = _find(document, path[:-1]), path[-1]
    if len(path) == 1:
        return document[0]
    return parent.pop(int(last) if isinstance(parent, list) else last)
