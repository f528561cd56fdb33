"""Waiting by watching: what lacks, until when, and what is said when time is up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from labkit import errors
from labkit.client import config, watch, wire
from labkit.lab import api
from labkit.model import resources


def pod(name: str, version: int, ready: str = "", **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    return {
        "metadata": {"name": name, "resourceVersion": str(version)},
        "status": {"conditions": conditions, **status},
    }


class FakeClient:
    """Answers one list; the watch is scripted beside it."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = items

    def list(self, resource: resources.Resource, namespace: str = "") -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "1"}, "items": list(self.items)}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> list[watch.WatchEvent]:
    events: list[watch.WatchEvent] = []

    def scripted(*_: object, **__: object) -> Iterator[watch.WatchEvent]:
        while events:
            yield events.pop(0)

    monkeypatch.setattr(watch, "watch", scripted)
    return events


def waiter(*items: dict[str, Any]) -> api.Api:
    client: Any = FakeClient(*items)
    return api.Api(config.ClientConfig("https://192.0.2.1:6443"), wire.dial_tcp, client)


def test_what_is_ready_already_is_not_waited_for(script: list[watch.WatchEvent]) -> None:
    waiter(pod("a", 1, "True")).wait_for(resources.PODS, ["a"], api.lacks_readiness, timeout_s=0)


def test_the_answer_comes_with_the_change(script: list[watch.WatchEvent]) -> None:
    script += [
        watch.WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "2"}}),
        watch.WatchEvent("ADDED", pod("b", 3, "False")),
        watch.WatchEvent("MODIFIED", pod("b", 4, "True")),
        watch.WatchEvent("MODIFIED", pod("b", 5, "False")),
    ]
    both = waiter(pod("a", 1, "True"))
    both.wait_for(resources.PODS, ["a", "b"], api.lacks_readiness, timeout_s=5)
    assert len(script) == 1


def test_deleted_is_what_absence_waits_for(script: list[watch.WatchEvent]) -> None:
    script.append(watch.WatchEvent("DELETED", pod("a", 2)))
    waiter(pod("a", 1)).wait_for(resources.PODS, ["a"], api.lacks_nothing_but_absence, timeout_s=5)


def test_time_that_is_up_says_what_each_one_lacks(script: list[watch.WatchEvent]) -> None:
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    some = waiter(pod("a", 1, "False", containerStatuses=[waiting]))
    with pytest.raises(errors.TimedOut) as caught:
        some.wait_for(resources.PODS, ["a", "b"], api.lacks_readiness, timeout_s=0)
    assert "pod a: ErrImagePull: no such image; pod b: does not exist" in str(caught.value)
    assert caught.value.exit_code == 6


def test_a_pod_that_no_node_takes_says_so() -> None:
    unscheduled = pod("a", 1)
    unscheduled["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    ]
    assert api.lacks_readiness(unscheduled) == "0/3 nodes are available"


def test_a_node_counts_when_the_podlet_that_runs_now_speaks_for_it() -> None:
    lacks = api.lacks_podlet({"a": "0a1b/3400"})
    node = pod("a", 1, "True")
    assert lacks(None) == "does not exist"
    assert "has not taken stock" in lacks(node)
    for old_news in ("0a1b/99", "0a1b/3399", "ffff/9999"):
        node["metadata"]["annotations"] = {resources.IN_STEP: old_news}
        assert "has not taken stock" in lacks(node)
    for news in ("0a1b/3400", "0a1b/12000"):  # itself, or who followed when it had died
        node["metadata"]["annotations"] = {resources.IN_STEP: news}
        assert lacks(node) == ""
