"""The fields that an object has, and the fields in which two objects differ.

Two ways to say what an object has, because two questions are asked. An apply owns the values that
its manifest names, so a struct or list around them is not its own. An update owns what it has added
to the object, and where the list was not there before, it has added the list, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.apiserver.ownership import fields, topology
from labkit.apiserver.ownership.fields import ITSELF, LEAF, Fields


@dataclass(slots=True)
class Differences:
    """The fields that only the new object has, that both have and not alike, that it lacks."""

    added: Fields = field(default_factory=dict)
    modified: Fields = field(default_factory=dict)
    removed: Fields = field(default_factory=dict)

    def changed(self) -> Fields:
        return fields.union(self.added, self.modified)


def named(manifest: Mapping[str, Any], struct: str) -> Fields:
    """What an apply of this manifest owns."""
    return _walk(manifest, topology.of_object(struct), around=False) or {}


def compare(old: Mapping[str, Any], new: Mapping[str, Any], struct: str) -> Differences:
    """What an update from one object to the other changes; `old` may be empty."""
    found = Differences()
    _compare(old, new, topology.of_object(struct), found)
    return found


def _walk(value: Any, kind: topology.Type, *, around: bool) -> Fields | None:
    """The fields of a value; None when there are none. `around`: with the containers, too."""
    if kind.form == "whole":
        return LEAF
    if not value:
        return LEAF if around or kind.form in ("struct", "map") else None
    found: Fields = {ITSELF: LEAF} if around else {}
    for step, item, inner in _parts(value, kind):
        below = _walk(item, inner, around=around)
        if kind.form != "struct":
            below = _with_itself(below)
        if below is not None:
            found[step] = below
    if around:
        return LEAF if len(found) == 1 else found
    return found or None


def _with_itself(node: Fields | None) -> Fields:
    """An entry of a map and an item of a list are fields themselves."""
    if not node:
        return LEAF
    return node if ITSELF in node else {ITSELF: LEAF, **node}


def _parts(value: Any, kind: topology.Type) -> Iterator[tuple[str, Any, topology.Type]]:
    """The parts of a value that can be owned: the step to each, the part, and its type."""
    if kind.form == "struct":
        members = kind.members
        for name, item in value.items():
            if name in members:
                step, inner = members[name]
                yield step, item, inner
    elif kind.form == "map":
        inner = kind.inner
        for key, item in value.items():
            yield fields.field_step(key), item, inner
    else:
        yield from _items(value, kind)


def _items(value: list[Any], kind: topology.Type) -> Iterator[tuple[str, Any, topology.Type]]:
    """The items of a list; those that have the same keys as one, as they cannot be told apart."""
    grouped: dict[str, list[Any]] = {}
    for item in value:
        grouped.setdefault(kind.step_to(item), []).append(item)
    inner = kind.inner
    for step, same in grouped.items():
        yield (step, same[0], inner) if len(same) == 1 else (step, same, topology.WHOLE)


def _compare(old: Any, new: Any, kind: topology.Type, found: Differences) -> None:
    """Add to `found` in which parts the two differ; they do, and have the same form."""
    for step, before, after, inner in _pairs(old, new, kind):
        if inner.implied:
            before, after = before or {}, after or {}
        if before == after:
            continue
        if before is None:
            found.added[step] = _walk(after, inner, around=True) or LEAF
        elif after is None:
            found.removed[step] = _walk(before, inner, around=True) or LEAF
        elif inner.form == "whole":
            found.modified[step] = LEAF
        else:
            below = Differences()
            _compare(before, after, inner, below)
            _attach(found, step, below)


def _attach(found: Differences, step: str, below: Differences) -> None:
    if below.added:
        found.added[step] = below.added
    if below.modified:
        found.modified[step] = below.modified
    if below.removed:
        found.removed[step] = below.removed


def _pairs(
    old: Any, new: Any, kind: topology.Type
) -> Iterator[tuple[str, Any, Any, topology.Type]]:
    """Each part of either value: the step to it, both states (None: not there), its type."""
    before = {step: (part, inner) for step, part, inner in _parts(old, kind)} if old else {}
    for step, has, inner in _parts(new, kind) if new else ():
        had, inner_then = before.pop(step, (None, inner))
        alike = inner is inner_then or inner == inner_then
        yield step, had, has, inner if alike else topology.WHOLE
    for step, (had, inner) in before.items():
        yield step, had, None, inner


def with_containers(owned: Fields, struct: str) -> Fields:
    """The set with all struct fields that lead to its own: they go when nobody owns any below."""
    return _with_containers(owned, topology.of_object(struct))


def _with_containers(node: Fields, kind: topology.Type) -> Fields:
    steps = dict(kind.members.values()) if kind.form == "struct" else {}
    found: Fields = {}
    for step, below in node.items():
        inner = steps.get(step, topology.WHOLE) if kind.form == "struct" else kind.inner
        if not below or inner.form in ("whole", "set"):
            found[step] = below
            continue
        deeper = _with_containers(below, inner)
        found[step] = _with_itself(deeper) if kind.form == "struct" else deeper
    return found
