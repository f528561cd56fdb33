"""What the API server wants, and what that means for the proxy: pure.

A Mirror holds one kind of object as the watch tells it. There is no queue of changes: a sync
compares the whole of what is wanted with the whole of what is live. So a Service that was added and
deleted in between was never there, one that was changed twice has changed once (US-13), and
nothing that failed is forgotten: it is still wanted at the next sync.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from labkit.client import watch
from labkit.model import proxying
from labkit.model.resources import Object

#: The endpoints controller's note of when the pod or Service changed that made it write.
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d(?:\.\d+)?)Z")

Parsed = TypeVar("Parsed")
#: Namespace and name of an object.
Key = tuple[str, str]

Services = tuple[proxying.ServicePort, ...]
Endpoints = Mapping[proxying.ServicePortName, tuple[proxying.Endpoint, ...]]


@dataclass(frozen=True, slots=True)
class News(Generic[Parsed]):
    """A change, parsed. `whole`: this is all there is; else None stands for "deleted"."""

    objects: Mapping[Key, Parsed | None]
    whole: bool = False
    #: When what led to the change happened, where the API server says so: seconds since the epoch.
    triggers: Mapping[Key, float] = field(default_factory=dict)


def digest(change: watch.Change, parse: Callable[[Object], Parsed]) -> News[Parsed]:
    """Parse a change; done on the thread of the watch, because a list may be long."""
    if isinstance(change, watch.Synced):
        return News(
            {_key(obj): parse(obj) for obj in change.objects},
            whole=True,
            triggers=_triggers(change.objects),
        )
    gone = change.type == "DELETED"
    return News(
        {_key(change.object): None if gone else parse(change.object)},
        triggers=_triggers([change.object]),
    )


class Mirror(Generic[Parsed]):
    """The objects of one kind, by namespace and name."""

    def __init__(self) -> None:
        self._objects: dict[Key, Parsed] = {}
        #: Whether the whole list has been seen once.
        self.synced = False

    def get(self, key: Key) -> Parsed | None:
        return self._objects.get(key)

    def values(self) -> Iterable[Parsed]:
        return self._objects.values()

    def take(self, news: News[Parsed]) -> tuple[Key, ...]:
        """Take it over. Returns the objects that are not what they were, in the order of news."""
        after = dict(news.objects)
        if news.whole:
            self.synced = True
            after.update(dict.fromkeys(self._objects.keys() - after.keys()))
        changed = tuple(key for key, value in after.items() if self._objects.get(key) != value)
        for key in changed:
            value = after[key]
            if value is None:
                del self._objects[key]
            else:
                self._objects[key] = value
        return changed


@dataclass(frozen=True, slots=True)
class Changes:
    """What has to happen to the live service ports. One that changes keeps its proxy port."""

    opened: tuple[proxying.ServicePort, ...] = ()
    changed: tuple[proxying.ServicePort, ...] = ()
    closed: tuple[proxying.ServicePortName, ...] = ()


def plan_changes(
    live: Mapping[proxying.ServicePortName, proxying.ServicePort],
    wanted: Iterable[proxying.ServicePort],
) -> Changes:
    """Compare. A proxy port speaks one protocol, so another protocol means closing and opening."""
    by_name = {port.name: port for port in wanted}
    replaced = {
        name
        for name, port in live.items()
        if name in by_name and by_name[name].protocol != port.protocol
    }
    return Changes(
        opened=tuple(p for n, p in by_name.items() if n not in live or n in replaced),
        changed=tuple(
            p for n, p in by_name.items() if n in live and n not in replaced and p != live[n]
        ),
        closed=tuple(name for name in live if name not in by_name or name in replaced),
    )


def why_not_proxied(service_port: proxying.ServicePort, *, version: int = 4) -> str:
    """Why this proxy cannot serve a service port; empty when it can (US-44)."""
    if service_port.protocol not in ("TCP", "UDP"):
        return f"{service_port.protocol} is not supported in userspace mode"
    if service_port.cluster_ip.version != version:
        return f"its clusterIP {service_port.cluster_ip} is not an IPv{version} address"
    return ""


def _triggers(objects: Iterable[Object]) -> dict[Key, float]:
    """Each object's trigger time, where its annotation can be read."""
    found = {}
    for obj in objects:
        text = (obj["metadata"].get("annotations") or {}).get(TRIGGER_TIME, "")
        with contextlib.suppress(ValueError):
            found[_key(obj)] = parse_time(text)
    return found


def parse_time(text: str) -> float:
    """Seconds since the epoch in a time as Kubernetes writes it. Raises ValueError.

    >>> parse_time("1970-01-02T00:00:01.5Z")
    86401.5
    """
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a time: 2026-11-23T19:30:08Z is one")
    year, month, day, hours, minutes = (int(number) for number in found.groups()[:5])
    return ((_days(year, month, day) * 24 + hours) * 60 + minutes) * 60 + float(found[6])


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01. The years begin in March: so the leap day comes last.

    `datetime` knows this too, but costs every node's agent half a megabyte.
    """
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    leap_days = year // 4 - year // 100 + year // 400
    return 365 * year + leap_days + (153 * month + 2) // 5 + day - 719_469


def _key(obj: Object) -> Key:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]
