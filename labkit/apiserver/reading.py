"""get, list and watch."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from labkit import errors
from labkit.apiserver import request_info, status, store, tables, watching
from labkit.apiserver.call import Answer, Call, Filter, Stream, encode, wanted
from labkit.model import resources

#: A bookmark this often tells a quiet watcher how far it has seen, so that it need not list again.
BOOKMARK_S = 60.0
#: A watch without timeoutSeconds ends after this long, or up to twice as long: as kube-apiserver's.
WATCH_S = 1800.0
_INITIAL_END = "k8s.io/initial-events-end"


def get(objects: store.Store, call: Call) -> Answer:
    """Raises NotFound."""
    found = objects.get(call.kind.stored.resource, call.namespace, call.info.name)
    if found is None:
        raise status.not_found(call.kind.resource, call.info.name)
    return render(call, found)


def render(
    call: Call, stored: watching.Stored, code: int = 200, *, warnings: Sequence[str] = ()
) -> Answer:
    """One object of the store in the form that the client asked for."""
    if call.form:
        return Answer(code, encode(call.form.show(stored.object)), tuple(warnings))
    stored = call.kind.show(stored)
    shape = wanted(call).shape
    if shape == "Table":
        body = _table(call, [stored], {"resourceVersion": str(stored.revision)})
    elif shape == "PartialObjectMetadata":
        body = encode(tables.partial(stored.object))
    else:
        body = stored.text
    return Answer(code, body, tuple(warnings))


def _table(
    call: Call,
    objects: Iterable[watching.Stored],
    meta: resources.Object,
    *,
    headers: bool = True,
) -> bytes:
    include = call.query.get("includeObject") or "Metadata"
    kind = call.kind
    return tables.render_table(
        kind.columns, kind.row, objects, include=include, meta=meta, headers=headers
    )


# --- list ----------------------------------------------------------------------------------------


def list_(objects: store.Store, call: Call) -> Answer:
    """A list is spliced from the stored texts: nothing is encoded again."""
    matches = Filter(call)
    namespace = call.namespace
    start, revision = _parse_continue(call.query.get("continue", ""), objects.revision)
    everything = map(call.kind.show, objects.list(call.kind.stored.resource, namespace))
    found = [
        stored
        for stored in everything
        if (stored.namespace, stored.name) > start and matches(stored.object)
    ]
    limit = _integer(call, "limit")
    page = found[:limit] if limit else found
    meta: dict[str, Any] = {"resourceVersion": str(revision)}
    if len(page) < len(found):
        meta["continue"] = _render_continue(page[-1], revision)
        if matches.is_empty:
            meta["remainingItemCount"] = len(found) - len(page)
    return Answer(200, _render_list(call, page, meta))


def _render_list(call: Call, page: list[watching.Stored], meta: resources.Object) -> bytes:
    shape = wanted(call).shape
    if shape == "Table":
        return _table(call, page, meta)
    kind, api_version = f"{call.kind.resource.kind}List", call.kind.resource.api_version
    texts = [stored.text for stored in page]
    if shape == "PartialObjectMetadataList":
        kind, api_version = shape, tables.API_VERSION
        texts = [encode(tables.partial(stored.object)) for stored in page]
    head = encode({"kind": kind, "apiVersion": api_version, "metadata": meta})
    return head[:-1] + b',"items":[' + b",".join(texts) + b"]}"


def _render_continue(last: watching.Stored, revision: int) -> str:
    token = encode([last.namespace, last.name, revision])
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _parse_continue(token: str, revision: int) -> tuple[tuple[str, str], int]:
    """Where the next page starts, and the revision of the first page.

    Later pages show the present, not the past; the first page's revision goes with all of them, so
    that a watch from there makes up for the difference.
    """
    if not token:
        return ("", ""), revision
    try:
        padded = token + "=" * (-len(token) % 4)
        namespace, name, first = json.loads(base64.urlsafe_b64decode(padded))
        return (str(namespace), str(name)), int(first)
    except (ValueError, TypeError, binascii.Error) as error:
        raise status.bad_request("continue key is not valid") from error


def _integer(call: Call, parameter: str) -> int:
    """A query parameter that is a number; 0 without it."""
    text = call.query.get(parameter) or "0"
    try:
        return int(text)
    except ValueError:
        raise status.bad_request(
            f'strconv.ParseInt: parsing "{text}": invalid syntax in {parameter}'
        ) from None


# --- watch ---------------------------------------------------------------------------------------


def watch(objects: store.Store, call: Call) -> Stream:
    """Everything that is wrong with the request is raised here, before the first line is sent."""
    wanted(call)
    matches = Filter(call)
    revision = _parse_revision(call.query.get("resourceVersion", ""))
    return Stream(_Watch(objects, call, matches).lines(revision))


def _parse_revision(text: str) -> int | None:
    """None: begin with what exists now."""
    if text in ("", "0"):
        return None
    try:
        return int(text)
    except ValueError:
        raise status.bad_request(f'Invalid value: "{text}": resourceVersion is no number') from None


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

    async def lines(self, revision: int | None) -> AsyncIterator[bytes]:
        try:
            initial = request_info.is_true(self._call.query.get("sendInitialEvents"))
            if revision is None or initial:
                revision = self._store.revision
                for line in self._existing(marked=initial):
                    yield line
            if revision > self._store.revision:
                # The client knows a store that this one is not: it has to list again.
                raise status.expired(
                    f"too large resource version: {revision}, current: {self._store.revision}"
                )
            async for line in self._coming(revision):
                yield line
        except errors.Gone as gone:
            yield encode({"type": "ERROR", "object": gone.body}) + b"\n"

    def _existing(self, *, marked: bool) -> Iterable[bytes]:
        """What exists, as if it were new; `marked` ends it with a bookmark that says so."""
        kind = self._call.kind
        for stored in map(kind.show, self._store.list(kind.stored.resource, self._call.namespace)):
            if self._selected(stored.object):
                yield self._line("ADDED", stored)
        if marked:
            yield self._bookmark(self._store.revision, {_INITIAL_END: "true"})

    async def _coming(self, revision: int) -> AsyncIterator[bytes]:
        """The changes after `revision`, with bookmarks between, until the time is up."""
        clock = asyncio.get_running_loop().time
        end = clock() + (_integer(self._call, "timeoutSeconds") or _random_watch_s())
        bookmark = clock() + BOOKMARK_S
        while not self._store.closing:
            changes = self._history.since(revision)
            for line in self._seen(changes):
                yield line
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

    def _seen(self, changes: Iterable[watching.Change]) -> Iterable[bytes]:
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
            text = _table(self._call, [stored], meta, headers=self._headers)
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


def _random_watch_s() -> float:
    """Not all the same, so that the watchers of a restarted server do not come back together."""
    return WATCH_S * random.uniform(1, 2)  # noqa: S311


async def _first(happening: Any, timeout_s: float) -> None:
    """Return when it happens, or when the time is up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await happening
