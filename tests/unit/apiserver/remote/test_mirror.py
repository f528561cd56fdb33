"""The picture of somebody else's objects: old news changes nothing, whatever comes first."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import watching
from labkit.apiserver.remote import mirror
from labkit.client import watch
from labkit.model import resources
from labkit.model.resources import Object

PODS = resources.PODS


def pod(name: str, version: int, uid: str = "", **status: Any) -> Object:
    meta = {"name": name, "namespace": "default", "uid": uid or name}
    return {"metadata": meta | {"resourceVersion": str(version)}, "status": status}


def fetch_nothing(*_: object) -> Object | None:
    return None


def made(*objects: Object, version: str = "1") -> tuple[mirror.Mirror, list[watching.Change]]:
    found = mirror.Mirror((PODS,), fetch_nothing)
    found.take(PODS, watch.Synced(objects, version))
    told: list[watching.Change] = []
    found.observe(PODS, told.append)
    return found, told


def names(found: mirror.Mirror) -> list[tuple[str, int]]:
    return [(stored.name, stored.revision) for stored in found.list(PODS)]


def test_what_is_listed_says_what_it_is() -> None:
    found, _ = made(pod("b", 1), pod("a", 1))
    assert names(found) == [("a", 1), ("b", 1)]
    stored = found.get(PODS, "default", "a")
    assert stored
    assert (stored.object["apiVersion"], stored.object["kind"]) == ("v1", "Pod")
    assert list(found.list(PODS, "other")) == []


def test_ones_own_write_is_there_at_once_and_the_watch_tells_it_only_once() -> None:
    found, told = made(pod("a", 1))
    found.note(PODS, pod("a", 3))
    found.take(PODS, watch.WatchEvent("MODIFIED", pod("a", 2)))
    found.take(PODS, watch.WatchEvent("MODIFIED", pod("a", 3)))
    assert names(found) == [("a", 3)]
    assert [(change.type, change.revision) for change in told] == [("MODIFIED", 3)]


def test_what_was_deleted_does_not_come_back_with_late_news() -> None:
    found, told = made(pod("a", 1))
    found.forget(PODS, pod("a", 3))
    found.take(PODS, watch.WatchEvent("MODIFIED", pod("a", 2)))
    assert names(found) == []
    found.take(PODS, watch.WatchEvent("DELETED", pod("a", 4)))
    assert [change.type for change in told] == ["DELETED"]


def test_a_namesake_made_since_is_another_object() -> None:
    found, told = made(pod("a", 1, "one"))
    found.forget(PODS, pod("a", 3, "one"))
    found.note(PODS, pod("a", 4, "two"))
    found.take(PODS, watch.WatchEvent("DELETED", pod("a", 3, "one")))
    assert names(found) == [("a", 4)]
    assert [change.type for change in told] == ["DELETED", "ADDED"]


def test_a_new_list_takes_away_what_it_lacks_unless_that_is_newer() -> None:
    found, told = made(pod("a", 1), pod("b", 1))
    found.note(PODS, pod("mine", 9))
    found.take(PODS, watch.Synced((pod("b", 5),), "7"))
    assert names(found) == [("b", 5), ("mine", 9)]
    assert [(change.type, change.after.name) for change in told] == [
        ("ADDED", "mine"),
        ("MODIFIED", "b"),
        ("DELETED", "a"),
    ]


def test_a_kind_that_is_not_followed_is_asked_for() -> None:
    def fetch(resource: resources.Resource, namespace: str, name: str) -> Object | None:
        return {"metadata": {"name": name, "resourceVersion": "7"}} if name == "there" else None

    found = mirror.Mirror((PODS,), fetch)
    there = found.get(resources.EVENTS, "default", "there")
    assert there
    assert (there.revision, there.object["kind"]) == (7, "Event")
    assert found.get(resources.EVENTS, "default", "gone") is None
    assert list(found.list(resources.EVENTS)) == []
    assert found.note(resources.EVENTS, pod("x", 1)).name == "x"


#: A life of one object: versions by whom they were written, and whether it is deleted at the end.
LIFE = st.lists(st.booleans(), min_size=1, max_size=6)


@given(mine=LIFE, deleted_by=st.sampled_from(["nobody", "us", "others"]), late=st.integers(0, 6))
def test_in_whatever_order_news_come_the_picture_ends_as_the_server(
    mine: list[bool], deleted_by: str, late: int
) -> None:
    """Our own writes are noted at once; the watch tells everything, in order, `late` behind."""
    found, told = made()
    queue: list[watch.WatchEvent] = []
    for version, ours in enumerate(mine, 1):
        obj = pod("a", version)
        if ours:
            found.note(PODS, dict(obj))
        queue.append(watch.WatchEvent("ADDED" if version == 1 else "MODIFIED", obj))
        while len(queue) > late:
            found.take(PODS, queue.pop(0))
    last = len(mine)
    if deleted_by == "us" and found.get(PODS, "default", "a"):
        found.forget(PODS, pod("a", last))
    if deleted_by != "nobody":
        queue.append(watch.WatchEvent("DELETED", pod("a", last + 1)))
    for event in queue:
        found.take(PODS, event)
    assert names(found) == ([("a", last)] if deleted_by == "nobody" else [])
    assert not found._ended[PODS]
    seen = [change.revision for change in told if change.type != "DELETED"]
    assert seen == sorted(set(seen)), "each state is told once, in order"
    kinds = [change.type for change in told]
    assert kinds.count("ADDED") - kinds.count("DELETED") == (deleted_by == "nobody")
