"""Which state a list shows: pages of one picture, exact revisions, and those that nobody has."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from labkit.apiserver import pages, registry
from labkit.apiserver.kinds import pods
from tests.unit.apiserver import cluster

PODS = "/api/v1/namespaces/default/pods"


def names(listed: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def create(objects: registry.Registry, *wanted: str) -> None:
    for name in wanted:
        objects.create(pods.KIND, "default", cluster.pod(name))


def delete(objects: registry.Registry, name: str) -> None:
    objects.delete(pods.KIND, "default", name, registry.DeleteOptions(grace_s=0))


def label(objects: registry.Registry, name: str) -> None:
    def modify(old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "metadata": {**old["metadata"], "labels": {"changed": "yes"}}}

    objects.update(pods.KIND, "default", name, modify)


class TestPages:
    def test_all_show_what_the_first_one_showed(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        create(objects, *"abcde")
        first = api("GET", f"{PODS}?limit=2").json
        delete(objects, "c")
        label(objects, "d")
        create(objects, "cc")
        second = api("GET", f"{PODS}?limit=9&continue={first['metadata']['continue']}").json
        assert names(first) + names(second) == list("abcde")
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert "changed" not in second["items"][1]["metadata"]["labels"]
        assert names(api("GET", PODS).json) == ["a", "b", "cc", "d", "e"]

    def test_the_count_of_what_is_left_is_that_of_the_picture(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        create(objects, *"abcde")
        first = api("GET", f"{PODS}?limit=1").json
        create(objects, *"fgh")
        token = first["metadata"]["continue"]
        second = api("GET", f"{PODS}?limit=1&continue={token}").json
        assert [page["metadata"]["remainingItemCount"] for page in (first, second)] == [4, 3]

    def test_a_forgotten_picture_leaves_a_way_on(self) -> None:
        with cluster.running(watch_history=2) as objects:
            api = cluster.Client(objects)
            create(objects, *"abcd")
            first = api("GET", f"{PODS}?limit=2").json
            for _ in range(2):
                create(objects, "bb")
                delete(objects, "bb")
            label(objects, "d")
            gone = api("GET", f"{PODS}?limit=1&continue={first['metadata']['continue']}")
            assert (gone.code, gone.json["reason"]) == (410, "Expired")
            assert "too old to display a consistent list" in gone.message

            second = api("GET", f"{PODS}?limit=1&continue={gone.json['metadata']['continue']}").json
            assert names(second) == ["c"]
            assert second["metadata"]["resourceVersion"] == str(objects.store.revision)
            delete(objects, "d")
            third = api("GET", f"{PODS}?continue={second['metadata']['continue']}").json
            assert third["items"][0]["metadata"]["labels"] == {"changed": "yes"}

    def test_a_picture_of_another_store_is_forgotten(self, api: cluster.Client) -> None:
        token = pages.render_token(pages.Page(99_999), ("default", "a"))
        assert api("GET", f"{PODS}?continue={token}").code == 410

    @pytest.mark.parametrize(
        "token", ["x", "!!", "W10", "WyJhIiwiYiIsInMiXQ", "WyJhIiwiIiwxXQ", "WyJhIiwiYiIsLTVd"]
    )
    def test_a_token_that_is_none(self, api: cluster.Client, token: str) -> None:
        reply = api("GET", f"{PODS}?continue={token}")
        assert (reply.code, reply.json["reason"]) == (400, "BadRequest")
        assert reply.message == "invalid continue token: continue key is not valid"

    def test_a_token_says_the_revision_itself(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        create(objects, *"ab")
        token = api("GET", f"{PODS}?limit=1").json["metadata"]["continue"]
        reply = api("GET", f"{PODS}?continue={token}&resourceVersion=3")
        assert reply.code == 400
        assert "not allowed when using continue" in reply.message

    def test_a_limit_below_zero_is_none(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        create(objects, *"ab")
        assert names(api("GET", f"{PODS}?limit=-1").json) == ["a", "b"]


class TestRevisions:
    def test_exact_shows_the_past(self, api: cluster.Client, objects: registry.Registry) -> None:
        create(objects, *"ab")
        then = objects.store.revision
        delete(objects, "a")
        create(objects, "c")
        listed = api("GET", f"{PODS}?resourceVersion={then}&resourceVersionMatch=Exact").json
        assert names(listed) == ["a", "b"]
        assert listed["metadata"]["resourceVersion"] == str(then)
        limited = api("GET", f"{PODS}?resourceVersion={then}&limit=5").json
        assert names(limited) == ["a", "b"]

    @pytest.mark.parametrize("match", ["", "&resourceVersionMatch=NotOlderThan"])
    def test_not_older_shows_the_present(
        self, api: cluster.Client, objects: registry.Registry, match: str
    ) -> None:
        create(objects, "a")
        then = objects.store.revision
        create(objects, "b")
        for version in ("0", str(then)):
            listed = api("GET", f"{PODS}?resourceVersion={version}{match}").json
            assert names(listed) == ["a", "b"]
            assert listed["metadata"]["resourceVersion"] == str(objects.store.revision)

    def test_a_forgotten_revision_is_gone(self) -> None:
        with cluster.running(watch_history=2) as objects:
            then = objects.store.revision
            create(objects, *"abc")
            path = f"{PODS}?resourceVersion={then}&resourceVersionMatch=Exact"
            reply = cluster.Client(objects)("GET", path)
            assert (reply.code, reply.json["reason"]) == (410, "Expired")
            assert reply.message == "The resourceVersion for the provided list is too old."
            assert reply.json["metadata"] == {}

    @pytest.mark.parametrize(
        "path",
        [
            f"{PODS}?resourceVersion=99999",
            f"{PODS}?resourceVersion=99999&resourceVersionMatch=Exact",
            f"{PODS}?resourceVersion=99999&resourceVersionMatch=NotOlderThan",
            (
                f"{PODS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                "&resourceVersion=99999"
            ),
            "/api/v1/namespaces/default/services/kubernetes?resourceVersion=99999",
        ],
    )
    def test_one_that_is_not_reached_yet(
        self, api: cluster.Client, objects: registry.Registry, path: str
    ) -> None:
        reply = api("GET", path)
        now = objects.store.revision
        assert (reply.code, reply.json["reason"]) == (504, "Timeout")
        assert reply.message == f"Timeout: Too large resource version: 99999, current: {now}"
        assert reply.json["details"] == {
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        }
        assert reply.headers["retry-after"] == "1"

    @pytest.mark.parametrize("version", ["-1", "x", "1_0", " 1", "9" * 30, "1.5"])
    def test_one_that_is_no_number(self, api: cluster.Client, version: str) -> None:
        for more in ("", "&watch=1"):
            assert api("GET", f"{PODS}?resourceVersion={version}{more}").code == 400
        assert api("GET", f"{PODS}?watch=1&timeoutSeconds=x{version}").code == 400


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "resourceVersionMatch=Exact",
            (
                "resourceVersionMatch: Forbidden: "
                "resourceVersionMatch is forbidden unless resourceVersion is provided"
            ),
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            (
                "resourceVersionMatch: Forbidden: "
                'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            ),
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
            (
                "resourceVersionMatch: Forbidden: "
                "resourceVersionMatch is forbidden when continue is provided"
            ),
        ),
        (
            "resourceVersionMatch=No&resourceVersion=1",
            (
                'resourceVersionMatch: Unsupported value: "No": '
                'supported values: "", "Exact", "NotOlderThan"'
            ),
        ),
        (
            "sendInitialEvents=true",
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
        (
            "watch=1&sendInitialEvents=true",
            (
                "resourceVersionMatch: Forbidden: "
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            ),
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            (
                "resourceVersionMatch: Forbidden: "
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            ),
        ),
    ],
)
def test_what_does_not_go_together(api: cluster.Client, query: str, message: str) -> None:
    reply = api("GET", f"{PODS}?{query}")
    assert (reply.code, reply.json["reason"]) == (422, "Invalid")
    assert reply.message == f'ListOptions.meta.k8s.io "" is invalid: {message}'


class TestWatchOptions:
    def lines(self, api: cluster.Client, query: str) -> list[Any]:
        reply = api("GET", f"{PODS}?watch=1&timeoutSeconds=-1&{query}")
        return [json.loads(line) for line in reply.body.splitlines()]

    def test_existing_objects_are_left_out_on_demand(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        create(objects, "a")
        no = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
        assert self.lines(api, no) == []
        assert [each["type"] for each in self.lines(api, "resourceVersion=0")] == ["ADDED"]

    def test_the_end_of_the_initial_events_is_told_to_those_who_take_bookmarks(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        create(objects, "a")
        asked = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        assert [each["type"] for each in self.lines(api, asked)] == ["ADDED"]
        lines = self.lines(api, f"{asked}&allowWatchBookmarks=true")
        assert [each["type"] for each in lines] == ["ADDED", "BOOKMARK", "BOOKMARK"]
        marked, last = lines[1]["object"], lines[2]["object"]
        assert marked == {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {
                "resourceVersion": str(objects.store.revision),
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        }
        assert "annotations" not in last["metadata"]

    def test_one_object_by_its_name(self, api: cluster.Client, objects: registry.Registry) -> None:
        create(objects, *"abc")
        lines = self.lines(api, "fieldSelector=metadata.name%3Db")
        assert [each["object"]["metadata"]["name"] for each in lines] == ["b"]

    def test_many_lines_travel_in_few_pieces(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        """1,000 objects are not 1,000 system calls."""
        create(objects, *(f"p{number}" for number in range(100)))
        pieces: list[bytes] = []

        async def send(message: dict[str, Any]) -> None:
            pieces.append(message.get("body", b""))

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        scope = api.scope("GET", f"{PODS}?watch=1&timeoutSeconds=-1")
        asyncio.run(api.application(scope, _body_then(receive), send))
        assert len(b"".join(pieces).splitlines()) == 100
        assert len([piece for piece in pieces if piece]) < 10


def _body_then(receive: Any) -> Any:
    inbox = [{"type": "http.request", "body": b"", "more_body": False}]

    async def first() -> Any:
        return inbox.pop() if inbox else await receive()

    return first
