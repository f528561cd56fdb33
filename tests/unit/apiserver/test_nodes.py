"""Nodes that fall silent, what becomes of their pods, and nodes that come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from labkit import errors
from labkit.apiserver import conditions, registry, watching
from labkit.apiserver.controllers import eviction, nodes, orphans, taints
from labkit.apiserver.kinds import leases, pods
from labkit.apiserver.kinds import nodes as nodes_kind
from labkit.model import resources
from tests.unit.apiserver import cluster

NO_EXECUTE = {"key": "maintenance", "value": "now", "effect": "NoExecute"}


async def settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(limited())


def said(objects: registry.Registry) -> list[str]:
    return sorted(stored.object["reason"] for stored in objects.store.list(resources.EVENTS))


def report(objects: registry.Registry, moment: str) -> None:
    """What a kubelet does when it sends its status."""

    def beat(old: resources.Object) -> resources.Object:
        state = {"type": "Ready", "status": "True", "lastHeartbeatTime": moment}
        return {**old, "status": {"conditions": [state]}}

    objects.update(nodes_kind.KIND, "", "node1", beat, subresource="status")


def renew(objects: registry.Registry, moment: str, namespace: str = "kube-node-lease") -> None:
    spec = {"holderIdentity": "node1", "renewTime": moment}
    if objects.store.get(resources.LEASES, namespace, "node1"):
        objects.update(leases.KIND, namespace, "node1", lambda old: {**old, "spec": spec})
    else:
        objects.create(leases.KIND, namespace, {"metadata": {"name": "node1"}, "spec": spec})


def node(objects: registry.Registry) -> resources.Object:
    return objects.get(nodes_kind.KIND, "", "node1").object


def keys_of(obj: resources.Object) -> list[tuple[str, str]]:
    return [(taint["key"], taint["effect"]) for taint in obj["spec"].get("taints") or []]


def change(objects: registry.Registry, name: str = "node1", **spec: Any) -> None:
    objects.update(nodes_kind.KIND, "", name, lambda old: {**old, "spec": {**old["spec"], **spec}})


def run_pod(objects: registry.Registry, name: str = "a", **spec: Any) -> None:
    """A pod on node1, that is ready."""
    objects.create(pods.KIND, "default", cluster.pod(name, nodeName="node1", **spec))

    def run(old: resources.Object) -> resources.Object:
        conditions.set_condition(old, "Ready", "True", now="2023-11-14T22:13:20Z")
        return old

    objects.update(pods.KIND, "default", name, run, subresource="status")


def pod(objects: registry.Registry, name: str = "a") -> resources.Object:
    return objects.get(pods.KIND, "default", name).object


class TestSilence:
    def controller(self, objects: registry.Registry) -> tuple[nodes.Controller, cluster.Clock]:
        clock = cluster.Clock(0)
        made = nodes.Controller(objects, clock=clock)
        objects.create(nodes_kind.KIND, "", cluster.node())
        return made, clock

    @pytest.mark.parametrize("beat", [renew, report])
    def test_it_is_noticed_after_forty_seconds(
        self, objects: registry.Registry, beat: Callable[[registry.Registry, str], None]
    ) -> None:
        controller, clock = self.controller(objects)
        clock.now = 39.9
        assert controller.overdue() == []
        beat(objects, "2023-11-14T22:14:00Z")
        clock.now = 79.8
        assert controller.overdue() == []
        beat(objects, "2023-11-14T22:15:00Z")
        clock.now = 119.7
        assert controller.overdue() == []
        clock.now = 119.8
        assert controller.overdue() == ["node1"]

    def test_what_is_no_sign_of_life(self, objects: registry.Registry) -> None:
        controller, clock = self.controller(objects)
        renew(objects, "2023-11-14T22:14:00Z")
        clock.now = 30

        def label(old: resources.Object) -> resources.Object:
            return {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}

        objects.update(nodes_kind.KIND, "", "node1", label)
        objects.update(leases.KIND, "kube-node-lease", "node1", label)
        renew(objects, "2023-11-14T22:14:00Z", "default")
        clock.now = 40
        assert controller.overdue() == ["node1"]

    def test_after_a_restart_the_time_begins_anew(self, objects: registry.Registry) -> None:
        self.controller(objects)
        renew(objects, "2001-01-01T00:00:00Z")
        clock = cluster.Clock(1000)
        again = nodes.Controller(objects, clock=clock)
        clock.now = 1039
        assert again.overdue() == []

    def test_every_condition_becomes_unknown(self) -> None:
        obj = cluster.node()
        obj["status"]["conditions"].append({"type": "DiskPressure", "status": "False"})
        lost = nodes.plan_lost(obj, "2023-11-14T22:15:00Z")
        assert {c["type"]: c["status"] for c in lost["status"]["conditions"]} == {
            "Ready": "Unknown",
            "DiskPressure": "Unknown",
        }

    def test_a_lost_node_is_unknown_tainted_and_comes_back(
        self, objects: registry.Registry
    ) -> None:
        async def scenario() -> None:
            controller, clock = self.controller(objects)
            run_pod(objects)
            clock.now = 50
            task = asyncio.ensure_future(controller.run())
            await settle()
            self.check_lost(objects)
            report(objects, "2023-11-14T22:15:00Z")
            await settle()
            assert nodes_kind.is_ready(node(objects))
            assert keys_of(node(objects)) == []
            assert controller.overdue() == []
            task.cancel()

        play(scenario)
        assert said(objects) == ["NodeNotReady", "NodeReady", "RegisteredNode"]

    def check_lost(self, objects: registry.Registry) -> None:
        (condition,) = node(objects)["status"]["conditions"]
        assert condition["status"] == "Unknown"
        assert condition["reason"] == "NodeStatusUnknown"
        assert condition["message"] == "Kubelet stopped posting node status."
        assert nodes_kind.row(node(objects), 0)[1] == "NotReady"
        key = "node.kubernetes.io/unreachable"
        assert keys_of(node(objects)) == [(key, "NoSchedule"), (key, "NoExecute")]
        assert conditions.find_condition(pod(objects), "Ready")["status"] == "False"

    def test_a_node_that_is_silent_while_it_runs_is_noticed(
        self, objects: registry.Registry
    ) -> None:
        async def scenario() -> None:
            objects.create(nodes_kind.KIND, "", cluster.node())
            task = asyncio.ensure_future(nodes.Controller(objects, 0.02).run())
            while nodes_kind.is_ready(node(objects)):
                await asyncio.sleep(0.005)
            await settle()
            assert said(objects) == ["NodeNotReady"]
            objects.create(nodes_kind.KIND, "", cluster.node("node2"))
            while nodes_kind.is_ready(objects.get(nodes_kind.KIND, "", "node2").object):
                await asyncio.sleep(0.005)
            task.cancel()

        play(scenario)


class TestTaints:
    def follow(self, objects: registry.Registry, act: Callable[[], None]) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(nodes.Controller(objects).run())
            act()
            await settle()
            task.cancel()

        play(scenario)

    def test_cordon_and_uncordon(self, objects: registry.Registry) -> None:
        foreign = {"key": "a", "effect": "NoSchedule"}
        objects.create(nodes_kind.KIND, "", cluster.node(taints=[foreign]))
        self.follow(objects, lambda: change(objects, unschedulable=True))
        assert keys_of(node(objects)) == [
            ("a", "NoSchedule"),
            ("node.kubernetes.io/unschedulable", "NoSchedule"),
        ]
        assert node(objects)["spec"]["taints"][1]["timeAdded"] == "2023-11-14T22:13:20Z"
        self.follow(objects, lambda: change(objects, unschedulable=False))
        assert node(objects)["spec"]["taints"] == [foreign]

    def test_a_new_node_takes_no_pod_before_it_is_ready(self, objects: registry.Registry) -> None:
        objects.create(nodes_kind.KIND, "", cluster.node(ready="False"))
        key = "node.kubernetes.io/not-ready"
        assert keys_of(node(objects)) == [(key, "NoSchedule")]
        self.follow(objects, lambda: None)
        assert keys_of(node(objects)) == [(key, "NoSchedule"), (key, "NoExecute")]
        self.follow(objects, lambda: report(objects, "2023-11-14T22:15:00Z"))
        assert "taints" not in node(objects)["spec"]

    @pytest.mark.parametrize(
        ("tolerations", "stay_s"),
        [
            ([], 0),
            ([{"key": "maintenance", "operator": "Exists"}], None),
            ([{"key": "maintenance", "value": "later"}], 0),
            ([{"operator": "Exists", "tolerationSeconds": 60}], 60),
            ([{"operator": "Exists", "tolerationSeconds": -5}], 0),
            ([{"operator": "Exists", "effect": "NoSchedule"}], 0),
            (
                [
                    {"operator": "Exists", "tolerationSeconds": 60},
                    {"key": "maintenance", "value": "now", "tolerationSeconds": 30},
                ],
                30,
            ),
        ],
    )
    def test_how_long_a_pod_may_stay(
        self, tolerations: list[resources.Object], stay_s: float | None
    ) -> None:
        found = taints.stay_s(
            cluster.pod(tolerations=tolerations), cluster.node(taints=[NO_EXECUTE])
        )
        assert found == stay_s


class TestEviction:
    def run(self, objects: registry.Registry, act: Callable[[], Awaitable[None]]) -> None:
        async def scenario() -> None:
            objects.create(nodes_kind.KIND, "", cluster.node())
            task = asyncio.ensure_future(eviction.Controller(objects).run())
            await act()
            task.cancel()

        play(scenario)

    def test_who_does_not_tolerate_the_taint_goes_at_once(self, objects: registry.Registry) -> None:
        async def act() -> None:
            run_pod(objects, "a")
            run_pod(objects, "b", tolerations=[{"operator": "Exists"}])
            change(objects, taints=[NO_EXECUTE])
            await settle()

        self.run(objects, act)
        assert pod(objects, "a")["metadata"]["deletionGracePeriodSeconds"] == 30
        why = conditions.find_condition(pod(objects, "a"), "DisruptionTarget")
        assert (why["status"], why["reason"]) == ("True", "DeletionByTaintManager")
        assert "deletionTimestamp" not in pod(objects, "b")["metadata"]
        assert said(objects) == ["TaintManagerEviction"]

    def test_who_tolerates_it_for_a_while_goes_then(self, objects: registry.Registry) -> None:
        async def act() -> None:
            bears = {"operator": "Exists", "tolerationSeconds": 1}
            run_pod(objects, tolerations=[bears])
            before = asyncio.get_running_loop().time()
            change(objects, taints=[NO_EXECUTE])
            while "deletionTimestamp" not in pod(objects)["metadata"]:
                await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() - before >= 1

        self.run(objects, act)

    def test_a_node_that_comes_back_in_time_keeps_its_pods(
        self, objects: registry.Registry
    ) -> None:
        async def act() -> None:
            run_pod(objects)
            change(objects, taints=[{"key": nodes_kind.UNREACHABLE, "effect": "NoExecute"}])
            await settle()
            change(objects, taints=[])
            await settle()

        self.run(objects, act)
        assert "deletionTimestamp" not in pod(objects)["metadata"]
        (event,) = objects.store.list(resources.EVENTS)
        assert event.object["message"] == "Cancelling deletion of Pod default/a"

    def test_every_pod_bears_a_silent_node_for_five_minutes(
        self, objects: registry.Registry
    ) -> None:
        run_pod(objects)
        for key in (nodes_kind.NOT_READY, nodes_kind.UNREACHABLE):
            ill = cluster.node(taints=[{"key": key, "effect": "NoExecute"}])
            assert eviction.plan_stay(pod(objects), ill) == 300


class TestOrphans:
    def test_pods_go_with_a_node_that_stays_away(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            for name in ("node1", "node2"):
                objects.create(nodes_kind.KIND, "", cluster.node(name))
            run_pod(objects, "a")
            objects.create(pods.KIND, "default", cluster.pod("b", nodeName="node2"))
            task = asyncio.ensure_future(orphans.Controller(objects, 0.02).run())
            for name in ("node1", "node2"):
                objects.delete(nodes_kind.KIND, "", name, registry.DeleteOptions())
            objects.create(nodes_kind.KIND, "", cluster.node("node2"))
            while objects.store.get(resources.PODS, "default", "a"):
                await asyncio.sleep(0.005)
            task.cancel()

        play(scenario)
        assert "deletionTimestamp" not in pod(objects, "b")["metadata"]


class TestKind:
    def test_a_row(self) -> None:
        obj = cluster.node(unschedulable=True)
        obj["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = ""
        obj["status"]["addresses"] = [{"type": "InternalIP", "address": "192.168.56.11"}]
        row = nodes_kind.row(obj, 0)
        assert row[1:3] == ["Ready,SchedulingDisabled", "control-plane"]
        assert row[5:7] == ["192.168.56.11", "<none>"]

    def test_the_pod_network_of_a_node_stays(self, objects: registry.Registry) -> None:
        objects.create(nodes_kind.KIND, "", cluster.node(podCIDR="10.244.1.0/24"))
        assert node(objects)["spec"]["podCIDRs"] == ["10.244.1.0/24"]
        with pytest.raises(errors.Invalid, match="may not change podCIDR"):
            change(objects, podCIDR="10.244.2.0/24", podCIDRs=["10.244.2.0/24"])


def test_a_lease_is_renewed_where_its_time_changes() -> None:
    def lease(moment: str, namespace: str = "kube-node-lease") -> watching.Stored:
        meta = {"name": "node1", "namespace": namespace}
        return watching.Stored({"metadata": meta, "spec": {"renewTime": moment}}, b"", 1)

    first, second = lease("2023-11-14T22:13:20Z"), lease("2023-11-14T22:13:30Z")
    assert nodes.is_renewal(watching.Change("ADDED", None, first))
    assert nodes.is_renewal(watching.Change("MODIFIED", first, second))
    assert not nodes.is_renewal(watching.Change("MODIFIED", first, first))
    assert not nodes.is_renewal(watching.Change("DELETED", first, second))
