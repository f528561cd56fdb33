"""Changes of objects, as a person would tell them."""

from __future__ import annotations

import copy

import pytest

from labkit.client import watch
from labkit.inspection.events import event, objects
from labkit.model import resources
from tests.unit.inspection import recorded

NOW = 1_700_000_000.0


def memory(kind: str) -> objects.Memory:
    return objects.Memory(next(told for told in objects.WATCHED if told.kind == kind))


def take(known: objects.Memory, change: watch.Change) -> list[tuple[str, str, str]]:
    return [(one.verb, one.name, one.text) for one in known.take(change, NOW)]


def pod(*, ready: bool, phase: str = "Running") -> resources.Object:
    condition = {"type": "Ready", "status": str(ready)}
    made = recorded.pod("app1-a", "node1", "10.244.1.2")
    return made | {"status": {**made["status"], "phase": phase, "conditions": [condition]}}


def test_what_is_there_when_one_begins_is_no_event() -> None:
    known = memory("pod")
    assert take(known, watch.Synced((pod(ready=True),))) == []


def test_a_pod_comes_changes_and_goes() -> None:
    known = memory("pod")
    take(known, watch.Synced(()))
    assert take(known, watch.WatchEvent("ADDED", pod(ready=False))) == [
        ("added", "default/app1-a", "Running, not ready on node1 at 10.244.1.2")
    ]
    ready = pod(ready=True)
    assert take(known, watch.WatchEvent("MODIFIED", ready)) == [
        (
            "changed",
            "default/app1-a",
            "Running, ready on node1 at 10.244.1.2; was Running, not ready on node1 at 10.244.1.2",
        )
    ]
    assert take(known, watch.WatchEvent("MODIFIED", copy.deepcopy(ready))) == []
    leaving = ready | {"metadata": {**ready["metadata"], "deletionTimestamp": "now"}}
    [(_, _, text)] = take(known, watch.WatchEvent("MODIFIED", leaving))
    assert text.startswith("terminating, Running")
    [(verb, _, text)] = take(known, watch.WatchEvent("DELETED", leaving))
    assert (verb, text) == ("removed", "was terminating, Running, ready on node1 at 10.244.1.2")
    assert take(known, watch.WatchEvent("DELETED", leaving)) == []
    assert take(known, watch.WatchEvent("BOOKMARK", {"metadata": {}})) == []


def test_after_a_gap_what_differs_has_happened() -> None:
    known = memory("pod")
    gone = recorded.pod("app1-z", "node2", "10.244.2.9")
    take(known, watch.Synced((pod(ready=True), gone)))
    new = recorded.pod("app1-b", "node2", "10.244.2.2")
    found = take(known, watch.Synced((pod(ready=False), new)))
    assert [(verb, name) for verb, name, _ in found] == [
        ("removed", "default/app1-z"),
        ("changed", "default/app1-a"),
        ("added", "default/app1-b"),
    ]


def test_endpoints_are_told_by_their_addresses() -> None:
    known = memory("endpoints")
    a, b, c = recorded.PODS
    take(known, watch.Synced((recorded.endpoints([a, b, c]),)))
    [(verb, name, text)] = take(known, watch.WatchEvent("MODIFIED", recorded.endpoints([a], [b])))
    assert (verb, name) == ("changed", "default/app1")
    assert text == (
        "10.244.1.2:8080; not ready: 10.244.2.2; "
        "was 10.244.1.2:8080, 10.244.2.2:8080, 10.244.2.3:8080"
    )
    nobody = {"metadata": {"name": "app1", "namespace": "default"}}
    [(_, _, text)] = take(known, watch.WatchEvent("MODIFIED", nobody))
    assert text.startswith("nobody; was ")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"clusterIP": "10.96.0.7", "ports": [{"port": 80}], "sessionAffinity": "ClientIP"},
            "10.96.0.7 TCP 80 -> 80, no selector, sessionAffinity ClientIP",
        ),
        ({"type": "ExternalName"}, "no clusterIP, no selector"),
    ],
)
def test_a_service_in_one_line(spec: resources.Object, said: str) -> None:
    assert objects.say_service({"spec": spec}) == said


def test_a_node_in_one_line() -> None:
    status = {"conditions": [{"type": "Ready", "status": "False"}]}
    node = {"metadata": {"name": "node1"}, "spec": {}, "status": status}
    assert objects.say_node(node) == "not ready"
    cordoned = {"metadata": {"name": "node1"}, "spec": {"unschedulable": True}}
    assert objects.say_node(cordoned) == "not ready, no pods are placed there"


def test_an_event_says_the_same_as_text_and_as_json() -> None:
    one = event.Event(NOW, "node1", "rule", "added", "nat CHAIN", "-j ACCEPT", {"table": "nat"})
    assert repr(one) == "22:13:20.000 node1      rule       added     nat CHAIN  -j ACCEPT"
    told = one.to_json()
    assert (told["schema"], told["version"]) == ("labkit.dev/event", 1)
    assert told["when"] == "2023-11-14T22:13:20.000000+00:00"
    assert {key: told[key] for key in ("where", "kind", "verb", "name", "text")} == {
        "where": "node1",
        "kind": "rule",
        "verb": "added",
        "name": "nat CHAIN",
        "text": "-j ACCEPT",
    }
