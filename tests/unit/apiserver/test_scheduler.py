"""Where pods go, and why some go nowhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import registry
from labkit.apiserver.controllers import placement, recorder, scheduler
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
    assert placement.plan_placement(wanted(), nodes_, others).node == "node2"


def test_the_emptier_node_wins_a_draw() -> None:
    nodes_ = [cluster.node("node1"), cluster.node("node2")]
    others = [placed("b", "node1", labels={"name": "other"})]
    assert placement.plan_placement(wanted(), nodes_, others).node == "node2"
    assert placement.plan_placement(wanted(), nodes_, []).node == "node1"


def test_replicas_of_one_owner_are_alike() -> None:
    owner = {"ownerReferences": [{"uid": "u", "controller": True}]}
    pod, other = wanted(), placed("a", "node1", labels={"hash": "older"})
    pod["metadata"] |= owner
    other["metadata"] |= owner
    nodes_ = [cluster.node("node1"), cluster.node("node2")]
    rest = [placed("b", "node2", labels={"x": "y"}), placed("c", "node2", labels={"x": "y"})]
    assert placement.plan_placement(pod, nodes_, [other, *rest]).node == "node2"


@given(st.integers(1, 5), st.integers(1, 30))
def test_replicas_are_spread_evenly(count: int, replicas: int) -> None:
    nodes_ = [cluster.node(f"node{i}") for i in range(count)]
    others: list[resources.Object] = []
    for index in range(replicas):
        chosen = placement.plan_placement(wanted(), nodes_, others)
        others.append(placed(f"p{index}", chosen.node))
    numbers = [sum(o["spec"]["nodeName"] == n["metadata"]["name"] for o in others) for n in nodes_]
    assert max(numbers) - min(numbers) <= 1


@pytest.mark.parametrize(
    ("node", "pod", "why"),
    [
        (cluster.node(), wanted(), ""),
        (cluster.node(unschedulable=True), wanted(), "node(s) were unschedulable"),
        (
            cluster.node(unschedulable=True),
            wanted(tolerations=[{"operator": "Exists"}]),
            "",
        ),
        (
            cluster.node(taints=[MASTER]),
            wanted(),
            "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }",
        ),
        (cluster.node(taints=[MASTER]), wanted(tolerations=[{"operator": "Exists"}]), ""),
        (cluster.node(taints=[MASTER]), wanted(tolerations=[MASTER]), ""),
        (
            cluster.node(taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}]),
            wanted(tolerations=[{"key": "a", "value": "c"}]),
            "node(s) had untolerated taint {a: b}",
        ),
        (
            cluster.node(taints=[{"key": "a", "effect": "NoExecute"}]),
            wanted(tolerations=[{"key": "a", "operator": "Exists", "effect": "NoSchedule"}]),
            "node(s) had untolerated taint {a: }",
        ),
        (cluster.node(taints=[{"key": "a", "effect": "PreferNoSchedule"}]), wanted(), ""),
        (cluster.node(), wanted(nodeSelector={"kubernetes.io/hostname": "node1"}), ""),
        (
            cluster.node(),
            wanted(nodeSelector={"disk": "ssd"}),
            "node(s) didn't match Pod's node affinity/selector",
        ),
    ],
)
def test_why_a_node_cannot_take_a_pod(
    node: resources.Object, pod: resources.Object, why: str
) -> None:
    assert placement.explain_refusal(pod, node) == why


def test_the_sentence_when_no_node_can() -> None:
    nodes_ = [
        cluster.node("control", taints=[MASTER]),
        cluster.node("node1", unschedulable=True),
        cluster.node("node2", unschedulable=True),
    ]
    assert placement.plan_placement(wanted(), nodes_, []).why == (
        "0/3 nodes are available: 1 node(s) had untolerated taint "
        "{node-role.kubernetes.io/control-plane: }, 2 node(s) were unschedulable. "
        "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )
    nothing = placement.plan_placement(wanted(), [], [])
    assert nothing.why == "no nodes available to schedule pods"


def requesting(**requests: str) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "x", "resources": {"requests": requests}}]}


def sized(name: str = "node1", **room: str) -> resources.Object:
    made = cluster.node(name)
    made["status"]["allocatable"] = {"cpu": "2", "memory": "1Gi", "pods": "3", **room}
    return made


def test_a_node_takes_what_it_has_room_for() -> None:
    others = [placed("a", "node1", **requesting(cpu="1500m"))]
    small, large = requesting(cpu="500m", memory="1Gi"), requesting(cpu="501m")
    assert placement.plan_placement(wanted(**small), [sized()], others).node == "node1"
    assert placement.plan_placement(wanted(**large), [sized()], others).why == (
        "0/1 nodes are available: 1 Insufficient cpu. "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    thirst = wanted(**requesting(memory="1025Mi"))
    assert "1 Insufficient memory." in placement.plan_placement(thirst, [sized()], []).why
    full = [placed(name, "node1") for name in "abc"]
    assert "1 Too many pods." in placement.plan_placement(wanted(), [sized()], full).why
    full[0]["status"] = {"phase": "Succeeded"}
    assert placement.plan_placement(wanted(), [sized()], full).node == "node1"


def affine(*expressions: resources.Object, field: str = "matchExpressions") -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{field: list(expressions)}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    return {"affinity": {"nodeAffinity": required}}


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        ("In", ["ssd", "hdd"], True),
        ("In", ["hdd"], False),
        ("NotIn", ["hdd"], True),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_required_affinity(operator: str, values: list[str], *, fits: bool) -> None:
    node = cluster.node()
    node["metadata"]["labels"]["disk"] = "ssd"
    pod = wanted(**affine({"key": "disk", "operator": operator, "values": values}))
    assert (placement.explain_refusal(pod, node) == "") == fits


def test_affinity_by_number_and_by_name() -> None:
    node = cluster.node()
    node["metadata"]["labels"]["cores"] = "8"
    for operator, fits in (("Gt", True), ("Lt", False)):
        pod = wanted(**affine({"key": "cores", "operator": operator, "values": ["4"]}))
        assert (placement.explain_refusal(pod, node) == "") == fits
    name = {"key": "metadata.name", "operator": "In", "values": ["node2"]}
    there = wanted(**affine(name, field="matchFields"))
    nodes_ = [cluster.node("node1"), cluster.node("node2")]
    assert placement.plan_placement(there, nodes_, []).node == "node2"
    assert placement.explain_refusal(wanted(**affine()), node) != ""


def test_what_a_pod_prefers() -> None:
    avoided = {"key": "a", "value": "b", "effect": "PreferNoSchedule"}
    nodes_ = [cluster.node("node1", taints=[avoided]), cluster.node("node2")]
    crowd = [placed(name, "node2") for name in "abc"]
    assert placement.plan_placement(wanted(), nodes_, crowd).node == "node2"
    bears = wanted(tolerations=[avoided])
    assert placement.plan_placement(bears, nodes_, crowd).node == "node1"
    named = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node2"]}
    liked = {"weight": 5, "preference": {"matchExpressions": [named]}}
    rather = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [liked]}}
    plain = [cluster.node("node1"), cluster.node("node2")]
    assert placement.plan_placement(wanted(affinity=rather), plain, crowd).node == "node2"


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

    def test_a_pod_that_goes_makes_room(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(scheduler.Controller(objects).run())
            objects.create(nodes.KIND, "", sized(pods="1"))
            for name in "ab":
                objects.create(pods.KIND, "default", cluster.pod(name))
                await self.settle()
            waiting = objects.get(pods.KIND, "default", "b").object
            assert "Too many pods" in waiting["status"]["conditions"][0]["message"]
            objects.delete(pods.KIND, "default", "a", registry.DeleteOptions(0))
            await self.settle()
            task.cancel()

        asyncio.run(scenario())
        assert objects.get(pods.KIND, "default", "b").object["spec"]["nodeName"] == "node1"

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
