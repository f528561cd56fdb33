"""Strategic merge patch: a merge patch that knows which lists are really sets or maps.

`kubectl apply`, `edit` and `label` send it. A Service's ports merge by `port`, a pod's containers
by `name`: to change one item a client need not repeat the others. The keys stand in the schemas.
What a client cannot say by merging it says with directives, fields that begin with a dollar:

    $patch: delete | replace         take this item or object away; put this in place of all
    $deleteFromPrimitiveList/FIELD   take these plain values away
    $setElementOrder/FIELD           the order of the merged list, by keys
    $retainKeys                      the only keys that may stay (a union that changes its member)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.apiserver import schema
from labkit.apiserver.patch import PatchError

_DIRECTIVE = "$patch"
_DELETE_VALUES = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_RETAIN = "$retainKeys"


def merge(target: Mapping[str, Any], patch: Mapping[str, Any], struct: str) -> dict[str, Any]:
    """Merge `patch` into `target`, an object of the given struct. Raises PatchError."""
    known = schema.fields_of(struct)
    if patch.get(_DIRECTIVE, "replace") not in ("replace", "delete"):
        raise PatchError(f"unknown patch type: {patch[_DIRECTIVE]} in map: {_render(patch)}")
    if patch.get(_DIRECTIVE) == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if patch.get(_DIRECTIVE) == "delete":
        return {}
    result = dict(target)
    if _RETAIN in patch:
        kept = set(patch[_RETAIN])
        result = {key: value for key, value in result.items() if key in kept}
    for key, value in patch.items():
        if key.startswith(_DELETE_VALUES):
            name = key.removeprefix(_DELETE_VALUES)
            if result.get(name):
                result[name] = [item for item in result[name] if item not in value]
        elif not key.startswith("$"):
            _merge_field(result, key, value, known.get(key))
    _reorder(result, target, patch, known)
    return result


def _merge_field(result: dict[str, Any], key: str, value: Any, field: schema.Field | None) -> None:
    if value is None:
        result.pop(key, None)
    elif isinstance(value, list) and field and field.merge_key is not None:
        result[key] = _merge_list(result.get(key) or [], value, field)
    elif isinstance(value, dict):
        inner = field.type.name if field and field.type.shape == "one" else ""
        old = result.get(key)
        result[key] = merge(old if isinstance(old, dict) else {}, value, inner)
    else:
        result[key] = value


def _merge_list(old: list[Any], new: list[Any], field: schema.Field) -> list[Any]:
    if not field.merge_key:
        return _order(old + [item for item in new if item not in old], new, old, "")
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in new):
        return [item for item in new if item.get(_DIRECTIVE) != "replace"]
    result = list(old)
    for item in new:
        _merge_item(result, item, field.merge_key, field.type.name)
    return _order(result, new, old, field.merge_key)


def _merge_item(result: list[Any], item: Any, key: str, struct: str) -> None:
    if not isinstance(item, dict) or key not in item:
        raise PatchError(f"map: {_render(item)} does not contain declared merge key: {key}")
    same = [index for index, old in enumerate(result) if old.get(key) == item[key]]
    if item.get(_DIRECTIVE) == "delete":
        result[:] = [old for index, old in enumerate(result) if index not in same]
    elif same:
        result[same[0]] = merge(result[same[0]], item, struct)
    else:
        result.append(merge({}, item, struct))


def _reorder(
    result: dict[str, Any],
    target: Mapping[str, Any],
    patch: Mapping[str, Any],
    known: schema.Struct,
) -> None:
    """Put merged lists into the order that the client asked for."""
    for directive, order in patch.items():
        name = directive.removeprefix(_ORDER)
        field = known.get(name)
        if name != directive and field is not None and name in result:
            old = target.get(name) or []
            result[name] = _order(result[name], order, old, field.merge_key or "")


def _order(merged: list[Any], asked: list[Any], old: list[Any], key: str) -> list[Any]:
    """Items that were `asked` for stand as they were asked for, the others as they stood before.

    Between one of each, who stood in front before does so again; what is new goes first.
    """

    def identity(item: Any) -> Any:
        return item.get(key) if key else item

    wanted, held = [identity(item) for item in asked], [identity(item) for item in old]
    named = sorted(
        (item for item in merged if identity(item) in wanted),
        key=lambda item: wanted.index(identity(item)),
    )
    others = [item for item in merged if identity(item) not in wanted]
    result = []
    while named and others:
        first, other = identity(named[0]), identity(others[0])
        stays = first in held and other in held and held.index(other) < held.index(first)
        result.append((others if stays else named).pop(0))
    return [*result, *named, *others]


def _render(value: Any) -> str:
    """A value as Go prints it: `map[name:web port:80]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_render(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_render, value))}]"
    return str(value)
