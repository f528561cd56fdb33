"""Put one object's fields into another, and take fields out of an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labkit.apiserver.ownership import fields, topology
from labkit.apiserver.ownership.fields import Fields


def check(manifest: Mapping[str, Any], struct: str) -> Iterator[str]:
    """Why a manifest cannot be merged: items of a list that cannot be told apart."""
    yield from _check(manifest, topology.of_struct(struct), "")


def _check(value: Any, kind: topology.Type, path: str) -> Iterator[str]:
    if kind.form in ("struct", "map"):
        for key, item in value.items():
            yield from _check(item, kind.at(key), f"{path}.{key}")
    elif kind.form != "whole":
        yield from _check_items(value, kind, path)


def _check_items(value: list[Any], kind: topology.Type, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(value):
        if missing := kind.form == "items" and kind.missing_key(item):
            yield (
                f"{path}: element {index}: associative list with keys has an element that omits "
                f'key field "{missing}" (and doesn\'t have default value)'
            )
            continue
        step = kind.step_to(item)
        shown = next(fields.paths({step: {}}))
        if step in seen:
            yield f"{path}: duplicate entries for key {shown}"
        seen.add(step)
        if kind.form == "items":
            yield from _check(item, kind.inner, path + shown)


# --- merge ---------------------------------------------------------------------------------------


def merge(live: Mapping[str, Any], manifest: Mapping[str, Any], struct: str) -> dict[str, Any]:
    """The live object with everything in it that the manifest names."""
    merged: dict[str, Any] = _merge(live, manifest, topology.of_struct(struct))
    return merged


def _merge(live: Any, wanted: Any, kind: topology.Type) -> Any:
    if live is None or kind.form == "whole":
        return wanted
    if kind.form in ("items", "set"):
        return _merge_items(live, wanted, kind)
    merged = {key: _merge(live.get(key), item, kind.at(key)) for key, item in wanted.items()}
    return {**live, **merged}


def _merge_items(live: list[Any], wanted: list[Any], kind: topology.Type) -> list[Any]:
    """The manifest's items in the manifest's order; what else is there keeps its place."""
    steps = [kind.step_to(item) for item in live]
    asked = {kind.step_to(item): item for item in wanted}
    result: list[Any] = []
    place = 0  # the live items before it are in the result, or come with the manifest
    for index, step in enumerate(asked):
        stop = _next_shared(steps, list(asked)[index:], place)
        result += [item for item, s in _between(live, steps, place, stop) if s not in asked]
        place = stop + (stop < len(steps) and steps[stop] == step)
        result.append(_merge(_only(live, steps, step), asked[step], kind.inner))
    return result + [item for item, s in _between(live, steps, place, len(live)) if s not in asked]


def _next_shared(steps: list[str], coming: list[str], place: int) -> int:
    """Up to where the live list goes on before the next item of the manifest that it has, too."""
    shared = next((step for step in coming if step in steps), None)
    found = steps.index(shared) if shared is not None else -1
    return found if found >= place else len(steps)


def _between(live: list[Any], steps: list[str], start: int, stop: int) -> Iterator[tuple[Any, str]]:
    return zip(live[start:stop], steps[start:stop], strict=True)


def _only(live: list[Any], steps: list[str], step: str) -> Any:
    """The live item of these keys; None where there are several: the manifest replaces them."""
    return live[steps.index(step)] if steps.count(step) == 1 else None


# --- remove --------------------------------------------------------------------------------------


def remove(obj: Mapping[str, Any], gone: Fields, struct: str) -> dict[str, Any]:
    """The object without these fields, and without what is empty because of that."""
    return _remove(obj, gone, topology.of_struct(struct)) or {}


def _remove(value: Any, gone: Fields, kind: topology.Type) -> Any:
    """None when nothing is left."""
    if kind.form == "whole":
        return value
    if isinstance(value, list):
        stays = [_remove_part(item, gone.get(kind.step_to(item)), kind.inner) for item in value]
        return [item for item in stays if item is not None] or None
    kept = {}
    for key, item in value.items():
        inner = kind.at(key)
        rest = _remove_part(item, gone.get(fields.field_step(key)), inner)
        if rest is not None:
            kept[key] = rest
    return kept or None


def _remove_part(value: Any, node: Fields | None, kind: topology.Type) -> Any:
    if node is None:
        return value
    return None if fields.has_itself(node) else _remove(value, node, kind)
