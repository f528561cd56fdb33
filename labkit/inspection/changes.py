"""What is different between two looks at the same thing.

Values turn into JSON, and two JSON documents are compared leaf by leaf. Members of a list are
recognised by what names them (a rule by its text, a node by its name), so that a rule added in
front is one addition, and not a change of all that follow.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labkit.display import document, shown
from labkit.inspection import schema

SCHEMA, VERSION = "changes", 1

#: What a member of a list may be known by, the best first.
_NAMES = ("text", "name", "path", "field", "address", "chain")


@dataclass(frozen=True, slots=True)
class Change:
    """One fact. `before` is empty for what was added, `after` for what was removed."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: str
    after: str


@dataclass(frozen=True, slots=True, repr=False)
class Changes(shown.Shown):
    """All differences, in the order of the documents."""

    name: str
    changes: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def document(self) -> document.Section:
        rows = [[one.kind, _moved(one), one.path] for one in self.changes]
        table = document.Table(("what", "how", "where"), rows, empty="nothing has changed",
                               long_last=True)  # fmt: skip
        return document.Section(f"Changes of {self.name}: {len(self.changes)}", (table,))


def find_changes(before: Any, after: Any, *, name: str = "") -> Changes:
    """Compare two JSON documents."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    found = [
        Change(path, _kind(path, old, new), old.get(path, ""), new.get(path, ""))
        for path in dict.fromkeys([*new, *old])
        if old.get(path) != new.get(path)
    ]
    return Changes(name, tuple(found))


def mark_lines(before: str, after: str) -> Iterator[tuple[bool, str]]:
    """Each line of `after`, and whether it was not in `before`."""
    old, new = before.splitlines(), after.splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, _, _, begin, end in matcher.get_opcodes():
        for line in new[begin:end]:
            yield kind != "equal", line


def _kind(
    path: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Literal["added", "removed", "changed"]:
    if path not in old:
        return "added"
    return "changed" if path in new else "removed"


def _moved(change: Change) -> str:
    if change.kind == "changed":
        return f"{change.before} -> {change.after}{_difference(change)}"
    return change.after or change.before


def _difference(change: Change) -> str:
    if change.before.isdigit() and change.after.isdigit():
        return f" ({int(change.after) - int(change.before):+d})"
    return ""


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _leaves(inner, f"{path}.{key}".lstrip("."))
        case list():
            for label, inner in _labelled(value):
                yield from _leaves(inner, f"{path}[{label}]")
        case None | "":
            return
        case bool():
            yield path, str(value).lower()
        case _:
            yield path, str(value)


def _labelled(items: list[Any]) -> Iterator[tuple[str, Any]]:
    """Each member with a label that stays; the second of the same label has a number, too."""
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        label = _label(item) or str(index)
        seen[label] = seen.get(label, 0) + 1
        yield label if seen[label] == 1 else f"{label}#{seen[label]}", item


def _label(item: Any) -> str:
    if isinstance(item, dict):
        return next((str(item[key]) for key in _NAMES if item.get(key)), "")
    return "" if isinstance(item, list) else str(item)
