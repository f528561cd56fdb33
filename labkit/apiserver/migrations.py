"""The schema of the store's file, and how the file of an older labkit becomes one of this.

`PRAGMA user_version` in the file says which version of the schema it has. Step 0 leads from version
0, which is an empty file, to version 1, and so on: a new file takes all the steps that an old one
has left. Each step is one transaction together with its new number, so that a crash in the middle
leaves the file as it was before the step. A step that has been released is never changed again; a
new schema is a new step at the end.

Version 1:

    objects   resource ("services", "deployments.apps"), namespace, name, revision, body (JSON)
    revision  one row: the revision of the last write, a deletion's included
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

STEPS: Sequence[str] = (
    """
    CREATE TABLE objects (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        revision INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (resource, namespace, name)
    ) WITHOUT ROWID;
    CREATE TABLE revision (value INTEGER NOT NULL);
    INSERT INTO revision VALUES (1);
    """,
)


class TooNew(Exception):
    """The file was written by a newer labkit, which keeps things that this one does not know."""


def migrate(database: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Take the steps that the file has not taken yet. Raises TooNew, sqlite3.Error."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise TooNew(f"its schema is version {version}, and this labkit knows up to {len(steps)}")
    for number, step in enumerate(steps[version:], version + 1):
        _take(database, f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")


def _take(database: sqlite3.Connection, script: str) -> None:
    try:
        database.executescript(script)
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
