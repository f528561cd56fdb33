"""What an ordinary write does to `managedFields`: who changes a field, owns it from then on.

The fields that a write adds or changes become its manager's and nobody else's; the fields that it
removes become nobody's. A write that changes nothing leaves all entries as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labkit.apiserver.kinds import kind as kind_module
from labkit.apiserver.ownership import contents, entries, fields
from labkit.apiserver.ownership.fields import Fields
from labkit.model import resources

_STATUS, METADATA = fields.field_step("status"), fields.field_step("metadata")
#: Written there is what nobody owns: a pod's place is the scheduler's, but for good.
_UNTRACKED = "binding"


def record(
    new: resources.Object,
    old: resources.Object | None,
    kind: kind_module.Kind,
    manager: entries.Manager,
    now: str,
) -> None:
    """Set the managedFields of `new`, which is about to replace `old`, or to be created."""
    if manager.subresource == _UNTRACKED:
        return
    known = _known(new, old, manager)
    if old and not known:
        # Nobody has been noted until now, or a client wanted all forgotten: it stays so.
        new["metadata"].pop("managedFields", None)
        return
    manager = replace(manager, api_version=kind.resource.api_version)
    found = contents.compare(old or {}, new, kind.struct)
    leave_out(found, kind, manager.subresource)
    settle(new, take(known, manager, found, now))


def take(
    known: entries.Entries, manager: entries.Manager, found: contents.Differences, now: str
) -> entries.Entries:
    """The entries after the manager has made these differences."""
    changed = found.changed()
    known = entries.without(known, fields.union(changed, found.removed))
    if not changed:
        return known
    held = known.get(manager.identity)
    owned = fields.union(held.fields, changed) if held else changed
    return entries.cap({**known, manager.identity: entries.Entry(manager, owned, now)})


def settle(obj: resources.Object, known: entries.Entries) -> None:
    if rendered := entries.render(known):
        obj["metadata"]["managedFields"] = rendered
    else:
        obj["metadata"].pop("managedFields", None)


def is_same(new: resources.Object, old: resources.Object) -> bool:
    """True when the objects differ at most in when the managers wrote."""
    return new == old or _without_times(new) == _without_times(old)


def _without_times(obj: resources.Object) -> resources.Object:
    managed = obj["metadata"].get("managedFields") or []
    timeless = [{**entry, "time": ""} for entry in managed]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": timeless}}


def _known(
    new: resources.Object, old: resources.Object | None, manager: entries.Manager
) -> entries.Entries:
    """The entries to begin with: the client's own where it has sent any, else the stored ones.

    Most clients send back what they have read, or nothing. A list of one empty entry says: forget
    them all. What is no valid list counts as none.
    """
    held = old["metadata"].get("managedFields") or [] if old else []
    sent = new["metadata"].get("managedFields")
    if not sent or sent == held or (old and manager.subresource):
        return entries.read(held)
    if sent == [{}]:
        return {}
    try:
        return entries.parse(sent) or entries.read(held)
    except fields.FieldsError:
        return entries.read(held)


def leave_out(found: contents.Differences, kind: kind_module.Kind, subresource: str) -> None:
    """Take from the differences what is not written at this path."""
    for part in (found.added, found.modified, found.removed):
        _leave_out(part, kind, subresource)


def _leave_out(part: Fields, kind: kind_module.Kind, subresource: str) -> None:
    """What is not written at this path belongs to nobody who writes there."""
    if part.get(METADATA) == fields.LEAF:
        del part[METADATA]  # every object has it, if with nothing in it that can be owned
    if subresource == "status":
        for step in [*part]:
            if step not in (_STATUS, METADATA):
                del part[step]
    elif kind.has_status:
        part.pop(_STATUS, None)


def applied(manifest: Mapping[str, Any], kind: kind_module.Kind, subresource: str) -> Fields:
    """What a manifest that is applied at this path owns."""
    owned = contents.named(manifest, kind.struct)
    _leave_out(owned, kind, subresource)
    return owned
