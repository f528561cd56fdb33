"""Conditions: what is true of an object just now, and since when."""

from __future__ import annotations

from labkit.model import resources


def find_condition(obj: resources.Object, name: str) -> resources.Object:
    """The condition of that type; an empty one where there is none. Not to be changed."""
    for found in obj.get("status", {}).get("conditions") or []:
        if found.get("type") == name:
            return dict(found)
    return {}


def set_condition(
    obj: resources.Object, name: str, value: str, *, now: str, reason: str = "", message: str = ""
) -> None:
    """Write a condition; its `lastTransitionTime` changes only with its value."""
    old = find_condition(obj, name)
    since = old.get("lastTransitionTime", now) if old.get("status") == value else now
    new = {**old, "type": name, "status": value, "lastTransitionTime": since}
    for field, text in (("reason", reason), ("message", message)):
        new.pop(field, None)
        if text:
            new[field] = text
    listed = obj.setdefault("status", {}).setdefault("conditions", [])
    listed[:] = [item for item in listed if item.get("type") != name] + [new]
