"""`metadata.managedFields`: one entry for each manager, with the fields that it owns.

- manager: kubectl-edit
  operation: Update            or Apply: a manager can have both
  subresource: status          where it did not write the object itself
  apiVersion: v1
  time: "2026-01-01T00:00:00Z"
  fieldsType: FieldsV1
  fieldsV1: ...                see `fields`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from labkit.apiserver.ownership import fields
from labkit.apiserver.ownership.fields import Fields
from labkit.model import resources

Operation = Literal["Apply", "Update"]

#: An object that somebody forgot to look after would collect managers without end.
MAX_UPDATERS = 10
_ANCIENT = "ancient-changes"


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, and in which way. An applier is the same whichever version it applies."""

    name: str
    operation: Operation = "Update"
    subresource: str = ""
    #: The version in which it names its fields.
    api_version: str = ""

    @property
    def identity(self) -> Manager:
        return replace(self, api_version="") if self.operation == "Apply" else self

    def __str__(self) -> str:
        """As a conflict names it: `"kubectl-edit" using v1`."""
        below = f' with subresource "{self.subresource}"' if self.subresource else ""
        using = f" using {self.api_version}" if self.operation == "Update" else ""
        return f'"{self.name}"{below}{using}'


@dataclass(frozen=True, slots=True)
class Entry:
    manager: Manager
    fields: Fields
    time: str = ""


#: By the managers' identities.
Entries = dict[Manager, Entry]


def read(managed: Iterable[Mapping[str, Any]]) -> Entries:
    """What this server has written itself."""
    found = (_read_entry(entry, entry["fieldsV1"]) for entry in managed)
    return {entry.manager.identity: entry for entry in found}


def parse(managed: Iterable[Mapping[str, Any]]) -> Entries:
    """What a client has sent. Raises FieldsError."""
    found: Entries = {}
    for entry in managed:
        if entry.get("operation") not in ("Apply", "Update"):
            raise fields.FieldsError("operation must be `Apply` or `Update`")
        if not entry.get("apiVersion") or entry.get("fieldsType") != "FieldsV1":
            raise fields.FieldsError("apiVersion and the fieldsType FieldsV1 must be there")
        parsed = _read_entry(entry, fields.parse(entry.get("fieldsV1") or {}))
        found[parsed.manager.identity] = parsed
    return found


def _read_entry(entry: Mapping[str, Any], owned: Fields) -> Entry:
    manager = Manager(
        entry.get("manager", ""),
        entry["operation"],
        entry.get("subresource", ""),
        entry["apiVersion"],
    )
    return Entry(manager, owned, entry.get("time", ""))


def render(entries: Entries) -> list[resources.Object]:
    """Appliers first, then by age. Who owns nothing is left out."""
    owners = [entry for entry in entries.values() if entry.fields]
    return [_render_entry(entry) for entry in sorted(owners, key=_rank)]


def _rank(entry: Entry) -> tuple[str, ...]:
    manager = entry.manager
    place = (manager.name, manager.api_version, manager.subresource)
    return (manager.operation, entry.time, *place)


def _render_entry(entry: Entry) -> resources.Object:
    manager = entry.manager
    return {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        **({"time": entry.time} if entry.time else {}),
        "fieldsType": "FieldsV1",
        "fieldsV1": entry.fields,
        **({"subresource": manager.subresource} if manager.subresource else {}),
    }


def everything(entries: Entries) -> Fields:
    """What anybody owns."""
    owned: Fields = {}
    for entry in entries.values():
        owned = fields.union(owned, entry.fields)
    return owned


def without(entries: Entries, gone: Fields) -> Entries:
    """Nobody owns `gone` any more."""
    if not gone:
        return entries
    return {
        key: replace(entry, fields=fields.difference(entry.fields, gone))
        for key, entry in entries.items()
    }


def cap(entries: Entries) -> Entries:
    """Put the oldest updaters together into one, so that there are never too many."""
    updaters = [e for e in entries.values() if e.manager.operation == "Update" and e.fields]
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return entries
    oldest = sorted(updaters, key=_rank)[: excess + 1]
    kept = {key: entry for key, entry in entries.items() if entry not in oldest}
    last = oldest[-1]
    ancient = Manager(_ANCIENT, "Update", "", last.manager.api_version)
    together = everything({entry.manager: entry for entry in oldest})
    return {**kept, ancient: Entry(ancient, together, last.time)}
