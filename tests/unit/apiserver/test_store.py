"""The store, its history, and what watches make of it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from labkit import errors
from labkit.apiserver import store, watching
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


def test_a_store_of_a_newer_labkit_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / store.FILE_NAME) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with (
        pytest.raises(errors.LabkitError, match="written by a newer labkit"),
        store.Store(tmp_path),
    ):
        pass


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / store.FILE_NAME).write_text("nothing of the sort" * 100)
    with pytest.raises(errors.LabkitError, match="cannot be used"), store.Store(tmp_path):
        pass


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


class Watching(RuleBasedStateMachine):
    """After any mixture of writes and reads a watcher has the store's own state, or a 410."""

    def __init__(self) -> None:
        super().__init__()
        self.objects = store.Store(None, watch_history=4).__enter__()
        self.cursor = self.objects.revision
        self.seen: dict[str, int] = {}

    @rule(name=st.sampled_from("abc"), value=st.integers(0, 9))
    def write(self, name: str, value: int) -> None:
        self.objects.put(POD, obj(name, value))

    @rule(name=st.sampled_from("abc"))
    def delete(self, name: str) -> None:
        found = self.objects.get(POD, "default", name)
        if found:
            self.objects.remove(POD, found)

    @rule()
    def follow(self) -> None:
        try:
            changes = self.objects.history(POD).since(self.cursor)
        except errors.Gone:
            self.seen = {s.name: s.object["spec"]["value"] for s in self.objects.list(POD)}
            self.cursor = self.objects.revision
            return
        for change in changes:
            assert change.revision > self.cursor
            self.cursor = change.revision
            if change.type == "DELETED":
                del self.seen[change.after.name]
            else:
                assert (change.type == "MODIFIED") == (change.after.name in self.seen)
                self.seen[change.after.name] = change.after.object["spec"]["value"]
        assert self.seen == {s.name: s.object["spec"]["value"] for s in self.objects.list(POD)}

    @invariant()
    def revisions_are_unique(self) -> None:
        revisions = [stored.revision for stored in self.objects.list(POD)]
        assert len(revisions) == len(set(revisions))

    def teardown(self) -> None:
        self.objects.__exit__(None, None, None)


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
