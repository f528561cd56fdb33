"""The store, its history, and what watches make of it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from labkit import errors
from labkit.apiserver import migrations, store, watching
from labkit.model import resources

POD = resources.PODS


def obj(name: str, value: int = 0) -> resources.Object:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"value": value}}


def test_state_survives_a_restart(tmp_path: Path) -> None:
    with store.Store(tmp_path) as first:
        first.put(POD, obj("a", 1))
        kept = first.put(POD, obj("b", 2))
        first.remove(POD, kept)
        revision = first.revision
    with store.Store(tmp_path) as second:
        assert second.revision == revision
        assert [stored.name for stored in second.list(POD)] == ["a"]
        assert second.get(POD, "default", "a").object["spec"] == {"value": 1}  # type: ignore[union-attr]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """The files as they are in the middle of a process's life are those that a kill leaves."""
    copied = tmp_path / "copy"
    copied.mkdir()
    with store.Store(tmp_path) as living:
        for value in range(50):
            living.put(POD, obj(f"p{value}", value))
        for file in tmp_path.glob("state.sqlite3*"):
            (copied / file.name).write_bytes(file.read_bytes())
    with store.Store(copied) as risen:
        assert len(list(risen.list(POD))) == 50


def test_revisions_only_rise() -> None:
    with store.Store(None) as objects:
        first = objects.put(POD, obj("a"))
        second = objects.put(POD, obj("a", 1))
        last = objects.remove(POD, second)
        assert first.revision < second.revision < last.revision == objects.revision
        assert last.object["metadata"]["resourceVersion"] == str(last.revision)


def test_lists_are_sorted_and_confined_to_a_namespace() -> None:
    with store.Store(None) as objects:
        for namespace, name in (("z", "a"), ("a", "b"), ("a", "a")):
            objects.put(POD, {"metadata": {"name": name, "namespace": namespace}})
        everything = [(s.namespace, s.name) for s in objects.list(POD)]
        assert everything == [("a", "a"), ("a", "b"), ("z", "a")]
        assert [s.name for s in objects.list(POD, "a")] == ["a", "b"]


def test_a_write_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    with store.Store(tmp_path) as objects:
        objects.put(POD, obj("a"))
        before = objects.revision
        # A full disk, as SQLite tells it.
        objects._database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(
            errors.ApiError, match="the store cannot write: database or disk is full"
        ):
            objects.put(POD, obj("b") | {"spec": {"text": "x" * 100_000}})
        assert objects.revision == before
        assert objects.get(POD, "default", "b") is None
        assert objects.history(POD).since(before) == []


def refuse_open(folder: Path) -> errors.LabkitError:
    with pytest.raises(errors.LabkitError) as caught, store.Store(folder):
        pass
    return caught.value


def test_writes_go_on_when_there_is_room_again(tmp_path: Path) -> None:
    with store.Store(tmp_path) as objects:
        (pages,) = objects._database.execute("PRAGMA page_count").fetchone()
        objects._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(errors.ApiError, match="disk is full"):
            objects.put(POD, obj("a") | {"spec": {"text": "x" * 100_000}})
        objects._database.execute("PRAGMA max_page_count = 100000")
        objects.put(POD, obj("b"))
    with store.Store(tmp_path) as risen:
        assert [stored.name for stored in risen.list(POD)] == ["b"]


class TestFiles:
    """Files that are not as this process would have written them."""

    def write(self, folder: Path) -> Path:
        with store.Store(folder) as objects:
            for value in range(300):
                objects.put(POD, obj(f"p{value}", value))
        return folder / store.FILE_NAME

    def test_of_a_newer_labkit(self, tmp_path: Path) -> None:
        file = self.write(tmp_path)
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA user_version = 99")
        before = file.read_bytes()
        refusal = refuse_open(tmp_path)
        assert "was written by a newer labkit: its schema is version 99" in str(refusal)
        assert f"move {file}* away" in refusal.hint
        assert file.read_bytes() == before

    def test_no_database_at_all(self, tmp_path: Path) -> None:
        (tmp_path / store.FILE_NAME).write_text("nothing of the sort" * 100)
        refusal = refuse_open(tmp_path)
        assert "file is not a database" in str(refusal)
        assert "move" in refusal.hint

    def test_damaged_in_the_middle(self, tmp_path: Path) -> None:
        file = self.write(tmp_path)
        whole = bytearray(file.read_bytes())
        whole[4096 * 3 : 4096 * 6] = b"\xff" * (4096 * 3)
        file.write_bytes(whole)
        refusal = refuse_open(tmp_path)
        assert f"the store {file} cannot be used" in str(refusal)
        assert "it is damaged" in refusal.hint

    def test_cut_short(self, tmp_path: Path) -> None:
        file = self.write(tmp_path)
        file.write_bytes(file.read_bytes()[:8192])
        assert "it is damaged" in refuse_open(tmp_path).hint

    @pytest.mark.parametrize(
        "statement", ["UPDATE objects SET body = '{' WHERE name = 'p7'", "DELETE FROM revision"]
    )
    def test_with_rows_that_mean_nothing(self, tmp_path: Path, statement: str) -> None:
        file = self.write(tmp_path)
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute(statement)
        assert "it is damaged" in refuse_open(tmp_path).hint

    def test_in_use(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store, "LOCK_S", 0.01)
        with store.Store(tmp_path) as first:
            first.put(POD, obj("a"))
            refusal = refuse_open(tmp_path)
        assert "another API server uses it" in refusal.hint
        with store.Store(tmp_path) as second:
            assert second.get(POD, "default", "a")

    def test_in_no_folder(self, tmp_path: Path) -> None:
        assert "owner" in refuse_open(tmp_path / "none").hint


class TestMigrations:
    #: A step that a later labkit might take.
    STEP = "ALTER TABLE objects ADD COLUMN size INTEGER; UPDATE objects SET size = length(body)"

    def old(self, folder: Path) -> sqlite3.Connection:
        with store.Store(folder) as objects:
            objects.put(POD, obj("a", 1))
        return sqlite3.connect(folder / store.FILE_NAME, isolation_level=None)

    def version(self, database: sqlite3.Connection) -> int:
        return int(database.execute("PRAGMA user_version").fetchone()[0])

    def test_a_new_file_takes_all_steps(self) -> None:
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            migrations.migrate(database, (*migrations.STEPS, self.STEP))
            assert self.version(database) == len(migrations.STEPS) + 1
            assert database.execute("SELECT size FROM objects").fetchall() == []

    def test_an_old_file_keeps_its_objects(self, tmp_path: Path) -> None:
        with contextlib.closing(self.old(tmp_path)) as database:
            for _ in range(2):  # the second time there is nothing to do
                migrations.migrate(database, (*migrations.STEPS, self.STEP))
            assert self.version(database) == 2
            ((name, body, size),) = database.execute("SELECT name, body, size FROM objects")
            assert (name, size) == ("a", len(body))

    def test_a_step_that_fails_leaves_the_file_as_it_was(self, tmp_path: Path) -> None:
        with contextlib.closing(self.old(tmp_path)) as database:
            broken = f"{self.STEP}; INSERT INTO nowhere VALUES (1)"
            with pytest.raises(sqlite3.OperationalError, match="nowhere"):
                migrations.migrate(database, (*migrations.STEPS, broken))
            assert self.version(database) == 1
        with store.Store(tmp_path) as objects:
            assert [stored.name for stored in objects.list(POD)] == ["a"]

    def test_the_first_step_is_never_changed(self) -> None:
        """Files of version 1 exist: they were made by exactly this."""
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            migrations.migrate(database, migrations.STEPS[:1])
            rows = database.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall()
            assert [name for (name,) in rows] == ["objects", "revision"]
            columns = database.execute("SELECT name FROM pragma_table_info('objects')").fetchall()
            assert [name for (name,) in columns] == [
                "resource",
                "namespace",
                "name",
                "revision",
                "body",
            ]


def test_observers_see_every_write() -> None:
    seen: list[watching.Change] = []
    with store.Store(None) as objects:
        objects.observe(POD, seen.append)
        kept = objects.put(POD, obj("a"))
        objects.remove(POD, kept)
    assert [change.type for change in seen] == ["ADDED", "DELETED"]


class TestHistory:
    def test_what_was_before_the_start_is_gone(self, tmp_path: Path) -> None:
        with store.Store(tmp_path) as first:
            first.put(POD, obj("a"))
            early = first.revision
            first.put(POD, obj("b"))
        with store.Store(tmp_path) as second:
            assert second.history(POD).since(second.revision) == []
            with pytest.raises(errors.Gone, match="too old resource version"):
                second.history(POD).since(early)

    def test_it_forgets_the_oldest(self) -> None:
        with store.Store(None, watch_history=3) as objects:
            revisions = [objects.put(POD, obj("a", value)).revision for value in range(5)]
            history = objects.history(POD)
            assert [c.revision for c in history.since(revisions[1])] == revisions[2:]
            with pytest.raises(errors.Gone):
                history.since(revisions[0])

    def test_other_kinds_do_not_push_it_out(self) -> None:
        with store.Store(None, watch_history=2) as objects:
            start = objects.revision
            objects.put(POD, obj("a"))
            for value in range(10):
                objects.put(resources.EVENTS, obj("e", value))
            assert len(objects.history(POD).since(start)) == 1

    def test_waiting_ends_with_the_next_change(self) -> None:
        async def scenario() -> None:
            with store.Store(None) as objects:
                waiting = asyncio.ensure_future(objects.history(POD).changed())
                await asyncio.sleep(0)
                assert not waiting.done()
                objects.put(POD, obj("a"))
                await waiting

        asyncio.run(scenario())


def is_one(found: resources.Object) -> bool:
    return bool(found["spec"]["value"] == 1)


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [(1, 1, "MODIFIED"), (0, 1, "ADDED"), (1, 0, "DELETED"), (0, 0, None)],
)
def test_a_selector_turns_changes_into_comings_and_goings(
    before: int, after: int, seen: str | None
) -> None:
    with store.Store(None) as objects:
        objects.put(POD, obj("a", before))
        objects.put(POD, obj("a", after))
        (change,) = objects.history(POD).since(objects.revision - 1)
    result = watching.seen_through(change, is_one)
    assert (result[0] if result else None) == seen
