"""The recent past of one resource, from which every watch is fed.

A watch is a cursor into this history and nothing else: there is no queue per watcher that a slow
client could fill. A watcher that falls behind further than the history reaches, or that comes back
after a long absence, gets 410 Gone, and lists again. That is the whole protocol.

The same history, read backwards, is how an earlier state is shown: see `rewind`.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from labkit.apiserver import status
from labkit.model import resources

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was written. Nobody changes it afterwards; `text` is its JSON.

    Only the text has `metadata.managedFields`. As Python objects they would take as much memory as
    all the rest, and only writes need them, which read the text anyway.
    """

    object: resources.Object
    text: bytes
    revision: int

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.object["metadata"].get("namespace", ""))

    @property
    def item(self) -> bytes:
        """The text in a list, which says once for all its items what they are."""
        head = _head(self.object)
        if self.text.startswith(head):
            return b"{" + self.text[len(head) :]
        # It was written by a server that left the order to the client.
        return b"{" + render(json.loads(self.text))[len(head) :]


def render(obj: resources.Object) -> bytes:
    """An object's JSON, which begins with what it is."""
    first = {field: obj[field] for field in ("kind", "apiVersion") if field in obj}
    return json.dumps({**first, **obj}, separators=(",", ":"), ensure_ascii=False).encode()


def _head(obj: resources.Object) -> bytes:
    """How its text begins. There is always more: an object has metadata."""
    return f'{{"kind":"{obj["kind"]}","apiVersion":"{obj["apiVersion"]}",'.encode()


def keep(obj: resources.Object, text: bytes, revision: int) -> Stored:
    """Make a Stored of an object, which belongs to it from now on, and of the object's text."""
    obj["metadata"].pop("managedFields", None)
    return Stored(obj, text, revision)


@dataclass(frozen=True, slots=True)
class Change:
    """One write. `after` of a deletion is the object's last state, at the deletion's revision."""

    type: ChangeType
    before: Stored | None
    after: Stored

    @property
    def revision(self) -> int:
        return self.after.revision


class History:
    """The last changes of one resource, oldest first, and a way to wait for the next."""

    def __init__(self, size: int, revision: int) -> None:
        self._changes: deque[Change] = deque(maxlen=size)
        #: A watch can resume from this revision or any later one.
        self.oldest = revision
        self._next: asyncio.Event | None = None

    def append(self, change: Change) -> None:
        if len(self._changes) == self._changes.maxlen:
            self.oldest = self._changes[0].revision
        self._changes.append(change)
        self.wake()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        if self._next:
            self._next.set()
            self._next = None

    def since(self, revision: int) -> list[Change]:
        """The changes after `revision`. Raises Gone when some of them are forgotten."""
        if revision < self.oldest:
            raise status.expired(f"too old resource version: {revision} ({self.oldest})")
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            found.append(change)
        return found[::-1]

    async def changed(self) -> None:
        """Return after the next append, or when `wake` is called."""
        self._next = self._next or asyncio.Event()
        await self._next.wait()


def rewind(
    objects: Mapping[tuple[str, str], Stored], changes: Sequence[Change]
) -> dict[tuple[str, str], Stored]:
    """The objects as they were before `changes`, which led to what they are."""
    found = dict(objects)
    for change in reversed(changes):
        key = change.after.namespace, change.after.name
        if change.before is None:
            del found[key]
        else:
            found[key] = change.before
    return found


def seen_through(
    change: Change, matches: Callable[[resources.Object], bool]
) -> tuple[ChangeType, Stored] | None:
    """What a watcher with a selector sees of a change.

    An object that is changed so that it no longer matches is gone for that watcher; one that begins
    to match is new.
    """
    after = change.type != "DELETED" and matches(change.after.object)
    before = change.before is not None and matches(change.before.object)
    if after:
        return ("MODIFIED" if before else "ADDED"), change.after
    return ("DELETED", change.after) if before else None
