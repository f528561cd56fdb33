"""A picture of somebody else's objects: it follows watches, and is never behind one's own writes.

News comes from two sides. A watch brings everybody's changes, in order and a little late; the
answer to one's own write is there at once. So an object may be in the picture before the watch has
heard of it, and old news about it comes afterwards: `resourceVersion` tells which is older, and the
older is dropped. The same for what was deleted: it does not come back with late news of its life.

Only kinds that are followed can be listed and observed; one object of any kind can be asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from labkit.apiserver import watching
from labkit.apiserver.controllers import controller
from labkit.client import watch
from labkit.model import resources

Key = tuple[str, str]
#: Asks the server for one object; None where there is none.
Fetch = Callable[[resources.Resource, str, str], resources.Object | None]


class Mirror:
    """What `controller.Objects` asks for. Used by one thread: hand it what others have heard."""

    def __init__(self, followed: Sequence[resources.Resource], fetch: Fetch) -> None:
        self._objects: dict[resources.Resource, dict[Key, watching.Stored]] = {
            resource: {} for resource in followed
        }
        self._fetch = fetch
        self._observers: dict[resources.Resource, list[controller.Observer]] = defaultdict(list)
        #: What we deleted and the watch has not told yet: for each uid, up to which revision news
        #: of it is old.
        self._ended: dict[resources.Resource, dict[str, int]] = defaultdict(dict)

    def get(
        self, resource: resources.Resource, namespace: str, name: str
    ) -> watching.Stored | None:
        if resource in self._objects:
            return self._objects[resource].get((namespace, name))
        found = self._fetch(resource, namespace, name)
        return _store(resource, found) if found else None

    def list(self, resource: resources.Resource, namespace: str = "") -> Iterator[watching.Stored]:
        found = self._objects.get(resource, {})
        for key in sorted(found):
            if not namespace or key[0] == namespace:
                yield found[key]

    def observe(self, resource: resources.Resource, observer: controller.Observer) -> None:
        self._observers[resource].append(observer)

    # --- news ------------------------------------------------------------------------------------

    def take(self, resource: resources.Resource, news: watch.Change) -> None:
        """What a watch has brought."""
        if isinstance(news, watch.Synced):
            self._replace(resource, news)
        elif news.type == "DELETED":
            self._ended[resource].pop(_uid(news.object), None)
            self._remove(resource, _store(resource, news.object))
        else:
            self.note(resource, news.object)

    def note(self, resource: resources.Resource, obj: resources.Object) -> watching.Stored:
        """Take an object as it is now; what is older than the picture changes nothing."""
        stored = _store(resource, obj)
        if resource not in self._objects:
            return stored
        if stored.revision <= self._ended[resource].get(_uid(obj), -1):
            return stored
        key = (stored.namespace, stored.name)
        before = self._objects[resource].get(key)
        if before and stored.revision <= before.revision:
            return before
        self._objects[resource][key] = stored
        change = watching.Change("MODIFIED" if before else "ADDED", before, stored)
        self._announce(resource, change)
        return stored

    def forget(self, resource: resources.Resource, obj: resources.Object) -> watching.Stored:
        """Take note that we deleted an object; `obj` is its last state."""
        last = _store(resource, obj)
        before = self._remove(resource, last)
        if before:
            self._ended[resource][_uid(obj)] = max(last.revision, before.revision)
        return last

    def _remove(
        self, resource: resources.Resource, last: watching.Stored
    ) -> watching.Stored | None:
        """Return what the picture had of just this object, and not of a namesake."""
        known = self._objects.get(resource, {})
        before = known.get((last.namespace, last.name))
        if before is None or _uid(before.object) != _uid(last.object):
            return None
        del known[last.namespace, last.name]
        self._announce(resource, watching.Change("DELETED", before, last))
        return before

    def _replace(self, resource: resources.Resource, news: watch.Synced) -> None:
        """A whole list: what it lacks is gone, unless it is newer than the list."""
        now = _number(news.version)
        ended = self._ended[resource]
        self._ended[resource] = {uid: until for uid, until in ended.items() if until > now}
        for obj in news.objects:
            self.note(resource, obj)
        listed = {_uid(obj) for obj in news.objects}
        for stored in list(self._objects[resource].values()):
            if _uid(stored.object) not in listed and stored.revision <= now:
                self._remove(resource, stored)

    def _announce(self, resource: resources.Resource, change: watching.Change) -> None:
        for observer in self._observers[resource]:
            observer(change)


def _store(resource: resources.Resource, obj: resources.Object) -> watching.Stored:
    """The objects of a List do not say what they are."""
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    return watching.Stored(obj, b"", _number(obj["metadata"].get("resourceVersion", "")))


def _number(version: str) -> int:
    """Every API server there is counts: a version is a number, and a later one is greater."""
    return int(version) if version.isdigit() else 0


def _uid(obj: resources.Object) -> str:
    return str(obj["metadata"].get("uid", ""))
