"""Any interleaving of writes, watches, lists, pages and restarts, against a simple model.

The model is the list of all states that the store has ever been in. Watchers are the real ones, fed
through the application; a restart closes the file and opens it again under their feet.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labkit.apiserver import bootstrap, registry, store
from labkit.apiserver.kinds import configmaps
from tests.unit.apiserver import cluster

KIND = configmaps.KIND
PATH = "/api/v1/namespaces/default/configmaps"
HISTORY = 6
NAMES = st.sampled_from("abcd")
#: label value -> what a watcher with the selector `color=red` sees
COLORS = st.sampled_from(["red", "blue"])

#: name -> (color, resourceVersion)
State = dict[str, tuple[str, int]]


def state_of(items: Any) -> State:
    return {item["metadata"]["name"]: _value(item) for item in items}


def _value(item: Any) -> tuple[str, int]:
    meta = item["metadata"]
    return meta["labels"]["color"], int(meta["resourceVersion"])


def red(state: State) -> State:
    return {name: value for name, value in state.items() if value[0] == "red"}


@dataclass
class Watcher:
    """What a client knows: a cursor, and the objects, built from events alone."""

    selector: str
    revision: int
    state: State = field(default_factory=dict)

    def take(self, event: Any) -> None:
        name, value = event["object"]["metadata"]["name"], _value(event["object"])
        kind = event["type"]
        assert value[1] > self.revision, "twice, or out of order"
        self.revision = value[1]
        assert (kind == "ADDED") == (name not in self.state)
        if kind == "DELETED":
            del self.state[name]
        else:
            self.state[name] = value


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="lkh")
        self.states: dict[int, State] = {}
        #: The revisions of the changes of our kind.
        self.changes: list[int] = []
        self.watchers: list[Watcher] = []
        self.pages: list[tuple[str, int, State]] = []
        self.open()
        self.note()

    def open(self) -> None:
        self.store = store.Store(Path(self.folder.name), watch_history=HISTORY).__enter__()
        self.opened_at = self.store.revision
        self.objects = registry.Registry(self.store, cluster.RANGES, cluster.Clock())
        self.objects.load()
        bootstrap.ensure_initial(self.objects, cluster.API)
        self.api = cluster.Client(self.objects)

    def note(self) -> None:
        found = self.store.list(KIND.resource, "default")
        state = state_of(stored.object for stored in found)
        if self.states and state != self.states[max(self.states)]:
            self.changes.append(self.store.revision)
        self.states[self.store.revision] = state

    @property
    def now(self) -> State:
        return self.states[self.store.revision]

    # --- writes --------------------------------------------------------------------------------

    @rule(name=NAMES, color=COLORS)
    def put(self, name: str, color: str) -> None:
        body = {"metadata": {"name": name, "labels": {"color": color}}}
        if name in self.now:
            reply = self.api("PUT", f"{PATH}/{name}", body)
        else:
            reply = self.api("POST", PATH, body)
        assert reply.code in (200, 201)
        self.note()

    @rule(name=NAMES, color=COLORS)
    def put_what_is_stale(self, name: str, color: str) -> None:
        """Of two writers that have read the same, the second never wins."""
        if name not in self.now:
            return
        meta = {"name": name, "resourceVersion": str(self.now[name][1])}
        for writer in ("first", "second"):
            labels = {"color": color, "writer": f"{writer}-{self.store.revision}"}
            body = {"metadata": {**meta, "labels": labels}}
            reply = self.api("PUT", f"{PATH}/{name}", body)
            assert reply.code == (200 if writer == "first" else 409)
            self.note()

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        wanted = 200 if name in self.now else 404
        assert self.api("DELETE", f"{PATH}/{name}").code == wanted
        self.note()

    @rule(name=NAMES)
    def write_another_kind(self, name: str) -> None:
        """It moves the revision, and nobody's history."""
        self.api("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": name}})
        self.api("DELETE", f"/api/v1/namespaces/default/serviceaccounts/{name}")
        self.note()

    @rule()
    def restart(self) -> None:
        before = self.store.revision
        self.store.__exit__(None, None, None)
        self.open()
        assert self.store.revision >= before, "the revision went back"
        self.note()

    # --- reads -------------------------------------------------------------------------------

    @rule(selector=st.sampled_from(["", "color=red"]))
    def list_and_watch(self, selector: str) -> None:
        listed = self.api("GET", f"{PATH}?labelSelector={selector}").json
        watcher = Watcher(selector, int(listed["metadata"]["resourceVersion"]))
        watcher.state = state_of(listed["items"])
        assert watcher.state == (red(self.now) if selector else self.now)
        self.watchers.append(watcher)

    @rule(selector=st.sampled_from(["", "color=red"]))
    def watch_from_nothing(self, selector: str) -> None:
        watcher = Watcher(selector, 0)
        events = self.events(watcher, "resourceVersion=0")
        assert [event["type"] for event in events] == ["ADDED"] * (len(events) - 1) + ["BOOKMARK"]
        watcher.state = state_of(event["object"] for event in events[:-1])
        watcher.revision = int(events[-1]["object"]["metadata"]["resourceVersion"])
        assert watcher.state == (red(self.now) if selector else self.now)
        self.watchers.append(watcher)

    def events(self, watcher: Watcher, query: str) -> list[Any]:
        """All there are at this moment; a bookmark at the end says that there are no more."""
        more = "watch=1&timeoutSeconds=-1&allowWatchBookmarks=true"
        reply = self.api("GET", f"{PATH}?{more}&labelSelector={watcher.selector}&{query}")
        return [json.loads(line) for line in reply.body.splitlines()]

    @precondition(lambda self: self.watchers)
    @rule(data=st.data())
    def follow(self, data: st.DataObject) -> None:
        """Every event once and in order, or a 410, and then a list."""
        watcher = data.draw(st.sampled_from(self.watchers))
        events = self.events(watcher, f"resourceVersion={watcher.revision}")
        last = events.pop()
        if last["type"] == "ERROR":
            assert last["object"]["code"] == 410
            assert not events, "half of what was missed"
            assert self.is_forgotten(watcher.revision)
            self.watchers.remove(watcher)
            return
        assert not self.is_forgotten(watcher.revision)
        for event in events:
            watcher.take(event)
        watcher.revision = int(last["object"]["metadata"]["resourceVersion"])
        assert watcher.state == (red(self.now) if watcher.selector else self.now)

    def is_forgotten(self, revision: int) -> bool:
        """A restart has come since, or more changes than the history holds."""
        since = [each for each in self.changes if each > revision]
        return revision < self.opened_at or len(since) > HISTORY

    # --- pages ---------------------------------------------------------------------------------

    @rule(limit=st.integers(1, 3))
    def first_page(self, limit: int) -> None:
        listed = self.api("GET", f"{PATH}?limit={limit}").json
        self.turn(listed, self.now, {})

    @precondition(lambda self: self.pages)
    @rule(data=st.data(), limit=st.integers(1, 3))
    def next_page(self, data: st.DataObject, limit: int) -> None:
        page = data.draw(st.sampled_from(self.pages))
        self.pages.remove(page)
        token, revision, shown = page
        reply = self.api("GET", f"{PATH}?limit={limit}&continue={token}")
        if reply.code == 410:
            assert self.is_forgotten(revision)
            rest = self.api("GET", f"{PATH}?continue={reply.json['metadata']['continue']}").json
            last = max(shown)
            assert state_of(rest["items"]) == {n: v for n, v in self.now.items() if n > last}
            return
        assert not self.is_forgotten(revision)
        assert int(reply.json["metadata"]["resourceVersion"]) == revision
        self.turn(reply.json, self.states[revision], shown)

    def turn(self, listed: Any, picture: State, shown: State) -> None:
        shown = shown | state_of(listed["items"])
        assert shown == {name: picture[name] for name in sorted(picture)[: len(shown)]}
        meta = listed["metadata"]
        if "continue" in meta:
            assert meta["remainingItemCount"] == len(picture) - len(shown)
            self.pages.append((meta["continue"], int(meta["resourceVersion"]), shown))
        else:
            assert shown == picture

    @precondition(lambda self: len(self.states) > 1)
    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        revision = data.draw(st.sampled_from(sorted(self.states)[-HISTORY * 2 :]))
        path = f"{PATH}?resourceVersion={revision}&resourceVersionMatch=Exact"
        reply = self.api("GET", path)
        if reply.code == 410:
            assert self.is_forgotten(revision)
        else:
            assert state_of(reply.json["items"]) == self.states[revision]

    # --- always --------------------------------------------------------------------------------

    @invariant()
    def each_write_has_its_own_revision(self) -> None:
        revisions = [revision for _, revision in self.now.values()]
        assert len(revisions) == len(set(revisions))
        assert all(revision <= self.store.revision for revision in revisions)

    def teardown(self) -> None:
        self.store.__exit__(None, None, None)
        self.folder.cleanup()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_one_write_is_encoded_once_for_a_hundred_watchers(monkeypatch: Any) -> None:
    """And what each of them gets is the text that was stored."""
    with cluster.running() as objects:
        api = cluster.Client(objects)
        encoded: list[Any] = []
        dumps = json.dumps

        def count(obj: Any, **more: Any) -> str:
            encoded.append(obj)
            return dumps(obj, **more)

        async def scenario() -> None:
            start = objects.store.revision
            watches = [api.watch(f"{PATH}?watch=1&resourceVersion={start}") for _ in range(100)]
            events = [await each.__aenter__() for each in watches]
            await asyncio.sleep(0)
            monkeypatch.setattr(json, "dumps", count)
            stored = objects.create(KIND, "default", {"metadata": {"name": "a"}})
            received = [await each.get() for each in events]
            monkeypatch.undo()
            for each in watches:
                await each.__aexit__(None, None, None)
            texts = {dumps(event["object"], separators=(",", ":")) for event in received}
            assert texts == {stored.text.decode()}

        asyncio.run(asyncio.wait_for(scenario(), 20))
        whole = [each for each in encoded if isinstance(each, dict) and "metadata" in each]
        assert len(whole) == 1
