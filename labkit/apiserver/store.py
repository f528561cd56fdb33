"""The objects: one SQLite file, and the same objects in memory.

Every write goes to the file first, in a transaction of its own, then to memory, then to the history
that feeds the watches. Reads never touch the file. A write-ahead log with `synchronous=NORMAL`
keeps every acknowledged write when the process is killed, and only a power cut can take the last
few; it makes a write so short (tens of microseconds, no fsync) that it happens right in the event
loop. So there is one thread, no lock, and whatever a caller does between two awaits is atomic:
read, compare and write without one, and of two concurrent writers the second always sees what the
first wrote.

The schema, version 1 (`PRAGMA user_version`):

    objects   resource ("services", "deployments.apps"), namespace, name, revision, body (JSON)
    revision  one row: the revision of the last write, a deletion's included
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labkit import errors
from labkit.apiserver import status, watching
from labkit.model import resources

FILE_NAME = "state.sqlite3"
SCHEMA_VERSION = 1
#: Changes kept for each resource. A watcher of a lab is seldom more than a few behind.
WATCH_HISTORY = 1000

_SCHEMA = """
CREATE TABLE objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    revision INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE revision (value INTEGER NOT NULL);
INSERT INTO revision VALUES (1);
PRAGMA user_version = 1;
"""

Key = tuple[str, str]
Observer = Callable[[watching.Change], None]


class Store:
    """All objects of the cluster. Open it in a `with` statement."""

    def __init__(self, folder: Path | None, *, watch_history: int = WATCH_HISTORY) -> None:
        """Nothing is opened yet. No folder: the objects live in memory only."""
        self._path = str(folder / FILE_NAME) if folder else ":memory:"
        self._watch_history = watch_history
        self._objects: dict[str, dict[Key, watching.Stored]] = defaultdict(dict)
        self._histories: dict[str, watching.History] = {}
        self._observers: dict[str, list[Observer]] = defaultdict(list)
        self.revision = 0
        #: The revision at which this process took over: what was before, no watch can ask for.
        self._opened_at = 0
        #: Set when the server ends, so that the watches end.
        self.closing = False

    def __enter__(self) -> Self:
        try:
            self._open()
        except sqlite3.Error as error:
            raise errors.LabkitError(
                f"the store {self._path} cannot be used: {error}",
                hint="look at the file's owner, and at the room on its disk",
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def _open(self) -> None:
        # None: no transaction but those that this module begins.
        self._database = sqlite3.connect(self._path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._migrate()
        (self.revision,) = self._database.execute("SELECT value FROM revision").fetchone()
        self._opened_at = self.revision
        rows = self._database.execute(
            "SELECT resource, namespace, name, revision, body FROM objects"
        )
        for resource, namespace, name, revision, body in rows:
            stored = watching.keep(json.loads(body), body.encode(), revision)
            self._objects[resource][namespace, name] = stored

    def _migrate(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise sqlite3.DatabaseError(
                f"it was written by a newer labkit (schema {version}, known: {SCHEMA_VERSION})"
            )
        if version == 0:
            self._database.executescript(f"BEGIN; {_SCHEMA} COMMIT;")

    def get(
        self, resource: resources.Resource, namespace: str, name: str
    ) -> watching.Stored | None:
        return self._objects[status.qualified(resource)].get((namespace, name))

    def list(
        self, resource: resources.Resource, namespace: str = "", *, at: int | None = None
    ) -> Iterator[watching.Stored]:
        """All objects of one kind, or those of one namespace, by namespace and name.

        `at` is an earlier revision, to see what there was then. Raises Gone for a forgotten one.
        """
        found: Mapping[Key, watching.Stored] = self._objects[status.qualified(resource)]
        if at is not None and at < self.revision:
            found = watching.rewind(found, self.history(resource).since(at))
        for key in sorted(found):
            if not namespace or key[0] == namespace:
                yield found[key]

    def history(self, resource: resources.Resource) -> watching.History:
        name = status.qualified(resource)
        if name not in self._histories:
            self._histories[name] = watching.History(self._watch_history, self._opened_at)
        return self._histories[name]

    def close_watches(self) -> None:
        """Wake everybody who waits for a change, to see that there will be none."""
        self.closing = True
        for history in self._histories.values():
            history.wake()

    def observe(self, resource: resources.Resource, observer: Observer) -> None:
        """Call `observer` right after every write to one kind. It must neither fail nor write."""
        self._observers[status.qualified(resource)].append(observer)

    def put(self, resource: resources.Resource, obj: resources.Object) -> watching.Stored:
        """Create or replace `obj`, which belongs to the store from now on."""
        name = status.qualified(resource)
        key = _key(obj)
        before = self._objects[name].get(key)
        stored = self._stamp(obj)
        self._write(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)",
            (name, *key, stored.revision, stored.text.decode()),
            stored.revision,
        )
        self._objects[name][key] = stored
        self._announce(resource, watching.Change("MODIFIED" if before else "ADDED", before, stored))
        return stored

    def remove(self, resource: resources.Resource, before: watching.Stored) -> watching.Stored:
        """Delete an object; return its last state, at the revision of its deletion."""
        name = status.qualified(resource)
        key = _key(before.object)
        last = self._stamp(json.loads(before.text))
        self._write(
            "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            (name, *key),
            last.revision,
        )
        del self._objects[name][key]
        self._announce(resource, watching.Change("DELETED", before, last))
        return last

    def _stamp(self, obj: resources.Object) -> watching.Stored:
        revision = self.revision + 1
        obj["metadata"]["resourceVersion"] = str(revision)
        text = json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode()
        return watching.keep(obj, text, revision)

    def _write(self, statement: str, values: tuple[Any, ...], revision: int) -> None:
        """One transaction: the object, and the revision that it got."""
        run = self._database.execute
        try:
            run("BEGIN IMMEDIATE")
            run(statement, values)
            run("UPDATE revision SET value = ?", (revision,))
            run("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                run("ROLLBACK")
            raise status.internal(f"the store cannot write: {error}") from error
        self.revision = revision

    def _announce(self, resource: resources.Resource, change: watching.Change) -> None:
        self.history(resource).append(change)
        for observer in self._observers[status.qualified(resource)]:
            observer(change)


def _key(obj: resources.Object) -> Key:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]
