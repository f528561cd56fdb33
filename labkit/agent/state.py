"""What the API server wants, and what that means for the proxy: pure.

A Mirror holds one kind of object as the watch tells it. There is no queue of changes: a sync
compares the whole of what is wanted with the whole of what is live. So a Service that was added and
deleted in between was never there, one that was changed twice has changed once (US-13), and
nothing that failed is forgotten: it is still wanted at the next sync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from labkit.client import watch
from labkit.model import proxying
from labkit.model.resources import Object

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


def digest(change: watch.Change, parse: Callable[[Object], Parsed]) -> News[Parsed]:
    """Parse a change; done on the thread of the watch, because a list may be long."""
    if isinstance(change, watch.Synced):
        return News({_key(obj): parse(obj) for obj in change.objects}, whole=True)
    gone = change.type == "DELETED"
    return News({_key(change.object): None if gone else parse(change.object)})


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


def _key(obj: Object) -> Key:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]
