"""Where pods go, and why some go nowhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import registry
from labkit.apiserver.controllers import recorder, scheduler
from labkit.apiserver.kinds import events, nodes, pods
from labkit.model import resources
from tests.unit.apiserver import cluster

MASTER = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def placed(name: str, node: str, **more: Any) -> resources.Object:
    obj = cluster.pod(name, nodeName=node, **more)
    obj["metadata"]["namespace"] = "default"
    return obj


def wanted(**spec: Any) -> resources.Object:
    obj = cluster.pod("new", **spec)
    obj["metadata"]["namespace"] = "default"
    return obj


def test_alike_pods_spread_before_all_others_count() -> None:
    nodes_ = [cluster.node("node1"), cluster.node("node2")]
    others = [
        placed("a", "node1"),
        placed("b", "node2", labels={"name": "other"}),
        placed("c", "node2", labels={"name": "other"}),
    ]
    assert scheduler.plan_placement(wanted(), nodes_, others).node == "node2"


def test_the_emptier_node_wins_a_draw() -> None:
    nodes_ = [cluster.node("node1"), cluster.node("node2")]
    others = [placed("b", "node1", labels={"name": "other"})]
    assert scheduler.plan_placement(wanted(), nodes_, others).node == "node2"
    assert scheduler.plan_placement(wanted(), nodes_, []).node == "node1"


def test_replicas_of_one_owner_are_alike() -> None:
    owner = {"ownerReferences": [{"uid": "u", "controller": True}]}
    pod, other = wanted(), placed("a", "node1", labels={"hash": "older"})
    pod["metadata"] |= owner
    other["metadata"] |= owner
    nodes_ = [cluster.node("node1"), cluster.node("node2")]
    rest = [placed("b", "node2", labels={"x": "y"}), placed("c", "node2", labels={"x": "y"})]
    assert scheduler.plan_placement(pod, nodes_, [other, *rest]).node == "node2"


@given(st.integers(1, 5), st.integers(1, 30))
def test_replicas_are_spread_evenly(count: int, replicas: int) -> None:
    nodes_ = [cluster.node(f"node{i}") for i in range(count)]
    others: list[resources.Object] = []
    for index in range(replicas):
        placement = scheduler.plan_placement(wanted(), nodes_, others)
        others.append(placed(f"p{index}", placement.node))
    numbers = [sum(o["spec"]["nodeName"] == n["metadata"]["name"] for o in others) for n in nodes_]
    assert max(numbers) - min(numbers) <= 1


@pytest.mark.parametrize(
    ("node", "pod", "why"),
    [
        (cluster.node(), wanted(), ""),
        (cluster.node(ready="Unknown"), wanted(), "were not ready"),
        (cluster.node(unschedulable=True), wanted(), "were unschedulable"),
        (
            cluster.node(taints=[MASTER]),
            wanted(),
            "had untolerated taint {node-role.kubernetes.io/control-plane: }",
        ),
        (cluster.node(taints=[MASTER]), wanted(tolerations=[{"operator": "Exists"}]), ""),
        (cluster.node(taints=[MASTER]), wanted(tolerations=[MASTER]), ""),
        (
            cluster.node(taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}]),
            wanted(tolerations=[{"key": "a", "value": "c"}]),
            "had untolerated taint {a: b}",
        ),
        (
            cluster.node(taints=[{"key": "a", "effect": "NoExecute"}]),
            wanted(tolerations=[{"key": "a", "operator": "Exists", "effect": "NoSchedule"}]),
            "had untolerated taint {a: }",
        ),
        (cluster.node(taints=[{"key": "a", "effect": "PreferNoSchedule"}]), wanted(), ""),
        (cluster.node(), wanted(nodeSelector={"kubernetes.io/hostname": "node1"}), ""),
        (
            cluster.node(),
            wanted(nodeSelector={"disk": "ssd"}),
            "didn't match Pod's node affinity/selector",
        ),
    ],
)
def test_why_a_node_cannot_take_a_pod(
    node: resources.Object, pod: resources.Object, why: str
) -> None:
    assert scheduler.explain_refusal(pod, node) == why


def test_the_sentence_when_no_node_can() -> None:
    nodes_ = [
        cluster.node("control", taints=[MASTER]),
        cluster.node("node1", ready="Unknown"),
        cluster.node("node2", ready="Unknown"),
    ]
    assert scheduler.plan_placement(wanted(), nodes_, []).why == (
        "0/3 nodes are available: 1 node(s) had untolerated taint "
        "{node-role.kubernetes.io/control-plane: }, 2 node(s) were not ready."
    )
    nothing = scheduler.plan_placement(wanted(), [], [])
    assert nothing.why == "no nodes available to schedule pods"


class TestController:
    def test_pods_wait_for_a_node_and_are_told_so(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(scheduler.Controller(objects).run())
            objects.create(pods.KIND, "default", cluster.pod())
            await self.settle()
            self.check_waiting(objects)
            objects.create(nodes.KIND, "", cluster.node())
            await self.settle()
            self.check_placed(objects)
            task.cancel()

        asyncio.run(scenario())

    def check_waiting(self, objects: registry.Registry) -> None:
        pod = objects.get(pods.KIND, "default", "a").object
        (condition,) = pod["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "False")
        assert condition["reason"] == "Unschedulable"
        assert condition["message"] == "no nodes available to schedule pods"
        assert self.reasons(objects) == ["FailedScheduling"]

    def check_placed(self, objects: registry.Registry) -> None:
        pod = objects.get(pods.KIND, "default", "a").object
        assert pod["spec"]["nodeName"] == "node1"
        assert pod["status"]["conditions"][0]["status"] == "True"
        assert sorted(self.reasons(objects)) == ["FailedScheduling", "Scheduled"]

    def reasons(self, objects: registry.Registry) -> list[str]:
        return [stored.object["reason"] for stored in objects.store.list(resources.EVENTS)]

    def test_it_leaves_pods_of_other_schedulers_alone(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            objects.create(nodes.KIND, "", cluster.node())
            objects.create(pods.KIND, "default", cluster.pod(schedulerName="mine"))
            task = asyncio.ensure_future(scheduler.Controller(objects).run())
            await self.settle()
            task.cancel()

        asyncio.run(scenario())
        assert "nodeName" not in objects.get(pods.KIND, "default", "a").object["spec"]

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


def test_an_event_said_twice_is_counted(objects: registry.Registry) -> None:
    teller = recorder.Recorder(objects, "me")
    pod = objects.create(pods.KIND, "default", cluster.pod()).object
    for _ in range(3):
        teller.record(pod, "Waiting", "for a node", warning=True)
    (stored,) = objects.store.list(resources.EVENTS)
    row = events.row(stored.object, objects.clock() + 30)
    assert row[:4] == ["30s", "Warning", "Waiting", "pod/a"]
    assert row[8] == 3
