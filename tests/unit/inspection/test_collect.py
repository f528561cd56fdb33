from __future__ import annotations

from typing import Any, cast

import pytest

from labkit import errors
from labkit.client import http
from labkit.inspection import collect, sockets
from labkit.model import resources
from tests.unit.inspection import recorded

NODE1, NODE2 = recorded.LAB.node("node1"), recorded.LAB.node("node2")


def test_reads_rules_and_sockets_of_a_node() -> None:
    state = recorded.state("node1", "app1-node1-after")

    assert [table.name for table in state.rules.tables] == ["nat", "filter"]
    assert state.rules.rules("nat", "KUBE-PORTALS-HOST")[0].comment == "default/app1"
    assert {one.port for one in state.sockets} == {30062, 40193, 44627}
    assert {one.program for one in state.sockets} == {"kube-proxy"}
    assert state.trouble == ""


def test_one_round_trip_for_each_node() -> None:
    pool = recorded.FakePool(
        {
            "node1": [recorded.printed(recorded.look("app1-node1-after"))],
            "node2": [recorded.printed(recorded.look("bare"))],
        }
    )

    states = collect.read_nodes(pool, [NODE2, NODE1])

    assert [state.node.name for state in states] == ["node2", "node1"]
    assert [len(each.ran) for each in pool.connections.values()] == [1, 1]
    assert pool.connections["node1"].ran[0] == ("sh", "-c", collect.look_script())


def test_a_dead_node_is_a_finding() -> None:
    pool = recorded.FakePool({"node1": [recorded.unreachable("node1")]})

    (state,) = collect.read_nodes(pool, [NODE1])

    assert state == collect.NodeState(NODE1, trouble="sshd does not answer")


def test_pods_are_looked_into_if_that_is_wanted() -> None:
    text = recorded.look("bare") + (
        "--- labkit pods\npod default_a\ntcp LISTEN 0 5 0.0.0.0:8080 0.0.0.0:*\npod default_b\n\n"
    )
    pool = recorded.FakePool({"node1": [recorded.printed(text)]})

    (state,) = collect.read_nodes(pool, [NODE1], pods=["default_a", "default_b", "default_c"])

    assert pool.connections["node1"].ran[0][2].startswith("PODS='default_a default_b default_c'\n")
    assert state.pods == {
        "default_a": (sockets.Socket("tcp", "0.0.0.0", 8080),),
        "default_b": (),
    }


def test_rules_that_are_none_are_a_finding() -> None:
    pool = recorded.FakePool({"node1": [recorded.printed("--- labkit nat\nwhat?\n")]})

    (state,) = collect.read_nodes(pool, [NODE1])

    assert "what?" in state.trouble


def test_a_command_that_failed_is_named_with_its_reason() -> None:
    text = recorded.look("bare").replace(
        "--- labkit sockets\n", "--- labkit sockets\n--- labkit failed sockets 127\n"
    )

    state = collect.parse_look(NODE1, text, "warning\nsh: ss: not found\n")

    assert state.trouble == "could not read sockets: sh: ss: not found"


def test_what_was_not_printed_at_all_is_missing() -> None:
    assert collect.parse_look(NODE1, "").trouble == "could not read filter, nat, sockets"


class FakeClient:
    """The API server's objects by (kind, name)."""

    def __init__(self, objects: dict[tuple[str, str], resources.Object]) -> None:
        self.objects = objects

    def get(self, resource: resources.Resource, name: str, namespace: str = "") -> Any:
        assert namespace == "default"
        if (resource.kind, name) not in self.objects:
            raise errors.NotFound(f"{resource.plural} {name!r} not found", status=404)
        return self.objects[resource.kind, name]

    def list(self, resource: resources.Resource, namespace: str = "") -> Any:
        assert (resource, namespace) == (resources.PODS, "default")
        return {"items": list(recorded.PODS)}


def read(objects: dict[tuple[str, str], resources.Object]) -> collect.Objects:
    client = cast("http.Client", FakeClient(objects))
    return collect.read_objects(client, "app1", "default")


def test_reads_a_service_with_its_endpoints_and_pods() -> None:
    service, endpoints = recorded.service(), recorded.endpoints()

    found = read({("Service", "app1"): service, ("Endpoints", "app1"): endpoints})

    assert found == collect.Objects(service, endpoints, recorded.PODS)


def test_a_service_may_have_no_endpoints_object() -> None:
    assert read({("Service", "app1"): recorded.service()}).endpoints is None


def test_a_service_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(errors.NotFound):
        read({})
