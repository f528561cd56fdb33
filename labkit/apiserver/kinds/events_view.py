"""The same events as events.k8s.io/v1 names their fields.

kubectl asks for them by this group first; what is written through one group is seen through both.
"""

from __future__ import annotations

from collections.abc import Mapping

from labkit.apiserver.kinds import events, kind
from labkit.model import resources

EVENTS = resources.Resource("Event", "events", "events.k8s.io", short_names=("ev",))

#: Fields that have another name here.
_NAMES: Mapping[str, str] = {
    "message": "note",
    "involvedObject": "regarding",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_NAMES_BACK = {theirs: ours for ours, theirs in _NAMES.items()}


def show(event: resources.Object) -> resources.Object:
    """A core event as this group has it; `eventTime` is always there."""
    return {"eventTime": None, **{_NAMES.get(field, field): v for field, v in event.items()}}


def take(event: resources.Object) -> resources.Object:
    renamed = {_NAMES_BACK.get(field, field): value for field, value in event.items()}
    return {field: value for field, value in renamed.items() if value is not None}


def row(event: resources.Object, now: float) -> list[str | int]:
    return events.row(take(event), now)


def fields(event: resources.Object) -> Mapping[str, str]:
    regarding = event.get("regarding", {})
    names = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    return {
        **{f"regarding.{name}": regarding.get(name, "") for name in names},
        "reason": event.get("reason", ""),
        "reportingController": event.get("reportingController", ""),
        "type": event.get("type", ""),
    }


KIND = kind.Kind(
    EVENTS,
    columns=events.KIND.columns,
    row=row,
    fields=fields,
    has_status=False,
    create_on_update=True,
    family="events",
    view=kind.View(events.KIND, show, take),
)
