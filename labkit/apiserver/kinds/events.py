"""Events: what happened to an object, kept for an hour."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.apiserver import tables, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources

EXPIRES_S = 3600.0


def default(event: resources.Object) -> None:
    event.setdefault("type", "Normal")
    event.setdefault("source", {})


def validate(event: resources.Object, report: validation.Report) -> None:
    about = event.get("involvedObject", {}).get("namespace", "")
    namespace = event["metadata"].get("namespace", "")
    if namespace != (about or "default"):
        report.invalid("involvedObject.namespace", about, "does not match event.namespace")


def last_seen(event: resources.Object) -> str | None:
    series = event.get("series") or {}
    moment = (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
    )
    return str(moment) if moment else None


def _last_seen_cell(event: resources.Object, now: float) -> str:
    return tables.since(last_seen(event), now)


def _object(event: resources.Object) -> str:
    about = event.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _source(event: resources.Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else component


def row(event: resources.Object, now: float) -> list[tables.Cell]:
    first = event.get("firstTimestamp") or event.get("eventTime")
    return [
        _last_seen_cell(event, now),
        event.get("type", ""),
        event.get("reason", ""),
        _object(event),
        event.get("involvedObject", {}).get("fieldPath", ""),
        _source(event),
        (event.get("message") or "").strip(),
        tables.since(first, now),
        (event.get("series") or {}).get("count") or event.get("count") or 1,
        tables.name_of(event),
    ]


def fields(event: resources.Object) -> Mapping[str, str]:
    about = event.get("involvedObject", {})
    names = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    return {
        **{f"involvedObject.{name}": about.get(name, "") for name in names},
        "reason": event.get("reason", ""),
        "reportingComponent": event.get("reportingComponent", ""),
        "source": (event.get("source") or {}).get("component", ""),
        "type": event.get("type", ""),
    }


KIND = kind.Kind(
    resources.EVENTS,
    columns=(
        tables.Column("Last Seen"),
        tables.Column("Type"),
        tables.Column("Reason"),
        tables.Column("Object"),
        tables.Column("Subobject", priority=1),
        tables.Column("Source", priority=1),
        tables.Column("Message"),
        tables.Column("First Seen", priority=1),
        tables.Column("Count", "integer", priority=1),
        tables.Column("Name", priority=1),
    ),
    row=row,
    default=default,
    validate=validate,
    fields=fields,
    has_status=False,
    create_on_update=True,
    expires_s=EXPIRES_S,
)
