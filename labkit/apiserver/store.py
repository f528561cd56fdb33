"""The objects: one SQLite file, and the same objects in memory.

Every write goes to the file first, in a transaction of its own, then to memory, then to the history
that feeds the watches. Reads never touch the file. A write is so short (tens of microseconds, no
fsync) that it happens right in the event loop. So there is one thread, no lock, and whatever a
caller does between two awaits is atomic: read, compare and write without one, and of two concurrent
writers the second always sees what the first wrote.

What an acknowledged write survives, with a write-ahead log and `synchronous=NORMAL`:

    the process is killed      everything: the kernel has the log already
    the machine loses power    all but the last few, which the kernel had not brought to the disk;
                               the file is whole, as it was a moment ago. Revisions then begin again
                               below some that clients have seen: their watches get a 410, and list.
    the disk is full           the write is refused with a 500 that says so, and nothing changes;
                               reads go on, and so do writes as soon as there is room

The file belongs to one process: SQLite's lock on it is kept as long as it is open. The schema is in
`labkit.apiserver.migrations`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labkit import errors
from labkit.apiserver import migrations, status, watching
from labkit.model import resources

FILE_NAME = "state.sqlite3"
#: Changes kept for each resource. A watcher of a lab is seldom more than a few behind.
WATCH_HISTORY = 1000
#: How long a server that takes over waits for its predecessor's end.
LOCK_S = 2.0

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
        except migrations.TooNew as error:
            raise errors.LabkitError(
                f"the store {self._path} was written by a newer labkit: {error}",
                hint=f"use that labkit, or move {self._path}* away to begin anew",
            ) from error
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise _explain(error, self._path) from error
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
        self._database = sqlite3.connect(self._path, isolation_level=None, timeout=LOCK_S)
        with contextlib.ExitStack() as failing:
            failing.callback(self._database.close)
            self._load()
            failing.pop_all()

    def _load(self) -> None:
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        migrations.migrate(self._database)
        (found,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        (self.revision,) = self._database.execute("SELECT value FROM revision").fetchone()
        self._opened_at = self.revision
        rows = self._database.execute(
            "SELECT resource, namespace, name, revision, body FROM objects"
        )
        for resource, namespace, name, revision, body in rows:
            stored = watching.keep(json.loads(body), body.encode(), revision)
            self._objects[resource][namespace, name] = stored

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
        return watching.keep(obj, watching.render(obj), revision)

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


def _explain(error: Exception, path: str) -> errors.LabkitError:
    """What is wrong with the file, and what to do."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        hint = "another API server uses it: `fuser` tells which; or choose another --data-dir"
    elif isinstance(error, sqlite3.OperationalError):
        hint = "look at the file's owner, and at the room on its disk"
    else:
        hint = f"it is damaged: put a copy in its place, or move {path}* away to begin anew"
    return errors.LabkitError(f"the store {path} cannot be used: {error}", hint=hint)


def _key(obj: resources.Object) -> Key:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]
