"""watch: a stream of what happens, from where the client says that it knows everything.

A watch begins after a revision, or with everything that exists, as if it were new. It goes on until
its time is up, the client leaves, or the history does not reach back to where the client is: then
the last line is a 410, and the client lists again. Bookmarks tell a client, if it allows them, how
far it is, so that it can come back there although nothing has happened that it would have seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import Any

from labkit import errors
from labkit.apiserver import pages, reading, request_info, status, store, tables, watching
from labkit.apiserver.call import Call, Filter, Stream, encode, wanted
from labkit.model import resources

#: A bookmark this often tells a quiet watcher how far it has seen, so that it need not list again.
BOOKMARK_S = 60.0
#: A watch without timeoutSeconds ends after this long, or up to twice as long: as kube-apiserver's.
WATCH_S = 1800.0
#: Lines that are there at the same time go out together up to this size: each piece costs a chunk
#: of HTTP, a TLS record and a system call.
PIECE_BYTES = 64 * 1024
_INITIAL_END = "k8s.io/initial-events-end"


def watch(objects: store.Store, call: Call) -> Stream:
    """Everything that is wrong with the request is raised here, before the first line is sent."""
    wanted(call)
    matches = Filter(call)
    pages.check_watch(call.query)
    pages.parse_integer(call.query, "timeoutSeconds")
    revision = pages.parse_revision(call.query)
    initial = pages.wants_initial_events(call.query)
    if initial:
        pages.require(revision, objects.revision)
    if initial is None and not revision:
        initial = True
    return Stream(_Watch(objects, call, matches).lines(revision, with_existing=bool(initial)))


class _Watch:
    """One client's watch: a cursor, a filter, and the form in which it wants its events."""

    def __init__(
        self, objects: store.Store, call: Call, matches: Callable[[resources.Object], bool]
    ) -> None:
        self._store = objects
        self._call = call
        self._matches = matches
        self._history = objects.history(call.kind.stored.resource)
        self._bookmarks = request_info.is_true(call.query.get("allowWatchBookmarks"))
        self._shape = wanted(call).shape
        self._headers = True

    async def lines(self, revision: int, *, with_existing: bool) -> AsyncIterator[bytes]:
        """One line or more at a time."""
        try:
            if with_existing or not revision:
                revision = self._store.revision
            if with_existing:
                for piece in _pieces(self._existing()):
                    yield piece
            if revision > self._store.revision:
                # The client knows a store that this one is not: it has to list again. (A real
                # server lets it wait until its revisions have grown so far.)
                raise status.expired(
                    f"too large resource version: {revision}, current: {self._store.revision}"
                )
            async for piece in self._coming(revision):
                yield piece
        except errors.Gone as gone:
            yield encode({"type": "ERROR", "object": gone.body}) + b"\n"

    def _existing(self) -> Iterator[bytes]:
        """What exists, as if it were new; whoever asked for that in so many words is told its end.

        It is taken down at once: the pieces may be sent while the store goes on.
        """
        kind, revision = self._call.kind, self._store.revision
        for stored in list(self._store.list(kind.stored.resource, self._call.namespace)):
            shown = kind.show(stored)
            if self._selected(shown.object):
                yield self._line("ADDED", shown)
        if self._bookmarks and pages.wants_initial_events(self._call.query):
            yield self._bookmark(revision, {_INITIAL_END: "true"})

    async def _coming(self, revision: int) -> AsyncIterator[bytes]:
        """The changes after `revision`, with bookmarks between, until the time is up."""
        clock = asyncio.get_running_loop().time
        asked_s = pages.parse_integer(self._call.query, "timeoutSeconds")
        end = clock() + (asked_s or _random_watch_s())
        bookmark = clock() + BOOKMARK_S
        while not self._store.closing:
            changes = self._history.since(revision)
            for piece in _pieces(self._seen(changes)):
                yield piece
            if changes:
                revision = changes[-1].revision
                continue
            # Nothing of this kind has happened since: the client is as far as the store is.
            revision = self._store.revision
            if self._bookmarks and clock() >= min(bookmark, end):
                yield self._bookmark(revision)
                bookmark = clock() + BOOKMARK_S
            if clock() >= end:
                return
            await _first(self._history.changed(), min(bookmark, end) - clock())

    def _selected(self, obj: resources.Object) -> bool:
        namespace, name = self._call.namespace, self._call.info.name
        meta = obj["metadata"]
        if name and meta["name"] != name:
            return False
        if namespace and meta["namespace"] != namespace:
            return False
        return self._matches(obj)

    def _seen(self, changes: Iterable[watching.Change]) -> Iterator[bytes]:
        for change in changes:
            if seen := watching.seen_through(self._shown(change), self._selected):
                yield self._line(*seen)

    def _shown(self, change: watching.Change) -> watching.Change:
        if not self._call.kind.view:
            return change
        show = self._call.kind.show
        before = show(change.before) if change.before else None
        return watching.Change(change.type, before, show(change.after))

    def _line(self, event: str, stored: watching.Stored) -> bytes:
        text = stored.text
        if self._shape == "Table":
            meta = {"resourceVersion": str(stored.revision)}
            text = reading.table_of(self._call, [stored], meta, headers=self._headers)
            self._headers = False
        elif self._shape:
            text = encode(tables.partial(stored.object))
        return b'{"type":"' + event.encode() + b'","object":' + text + b"}\n"

    def _bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        resource = self._call.kind.resource
        meta: dict[str, Any] = {"resourceVersion": str(revision)}
        if annotations:
            meta["annotations"] = annotations
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        return encode({"type": "BOOKMARK", "object": obj}) + b"\n"


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, joined to pieces worth sending."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _random_watch_s() -> float:
    """Not all the same, so that the watchers of a restarted server do not come back together."""
    return WATCH_S * random.uniform(1, 2)  # noqa: S311


async def _first(happening: Coroutine[Any, Any, None], timeout_s: float) -> None:
    """Return when it happens, or when the time is up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await happening
