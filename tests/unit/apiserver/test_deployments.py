"""Deployments: what they may be, the arithmetic of a rollout, and the controller that walks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import conditions, registry
from labkit.apiserver.controllers import deployments, replicasets, rollout
from labkit.apiserver.kinds import deployments as kind
from labkit.apiserver.kinds import pods
from labkit.apiserver.kinds import replicasets as sets_kind
from labkit.model import resources
from tests.unit.apiserver import cluster

PATH = "/apis/apps/v1/namespaces/default/deployments"
RECREATE = {"type": "Recreate"}


def stored(replicas: int = 4, **spec: Any) -> resources.Object:
    obj = cluster.deployment(replicas=replicas, **spec)
    kind.default(obj)
    return obj


def replica_set(name: str, replicas: int, available: int) -> resources.Object:
    obj = cluster.replica_set(name, replicas)
    return {**obj, "status": {"replicas": replicas, "availableReplicas": available}}


class TestArithmetic:
    @pytest.mark.parametrize(
        ("replicas", "rolling", "expected"),
        [
            (4, {}, (1, 1)),
            (3, {}, (1, 0)),
            (10, {"maxSurge": 3, "maxUnavailable": "50%"}, (3, 5)),
            (1, {"maxSurge": 0, "maxUnavailable": "25%"}, (0, 1)),
        ],
    )
    def test_limits(
        self, replicas: int, rolling: dict[str, Any], expected: tuple[int, int]
    ) -> None:
        obj = stored(replicas, strategy={"rollingUpdate": rolling})
        assert rollout.limits(obj) == expected

    def test_the_new_one_grows_into_the_room(self) -> None:
        assert rollout.plan_new(stored(4), 0, 4) == 1
        assert rollout.plan_new(stored(4), 2, 3) == 2
        assert rollout.plan_new(stored(4), 6, 0) == 4

    def test_what_is_not_available_goes_first(self) -> None:
        old = [replica_set("a", 3, 3), replica_set("b", 1, 0)]
        assert rollout.plan_old(stored(4), replica_set("n", 1, 0), old) == {"b": 0}
        assert rollout.plan_old(stored(4), replica_set("n", 1, 1), old) == {"b": 0, "a": 2}

    def test_recreate_takes_all_before_it_makes_any(self) -> None:
        obj = stored(4, strategy=RECREATE)
        old = [replica_set("a", 4, 4)]
        assert rollout.plan_old(obj, replica_set("n", 0, 0), old) == {"a": 0}
        assert (rollout.plan_new(obj, 0, 4), rollout.plan_new(obj, 0, 0)) == (0, 4)

    def sharing(self, surge: int, **numbers: int) -> list[resources.Object]:
        """ReplicaSets that were made for ten replicas, the oldest first."""
        sets = [replica_set(name, number, number) for name, number in numbers.items()]
        notes = {rollout.DESIRED: "10", rollout.MAXIMUM: str(10 + surge)}
        for found in sets:
            found["metadata"]["annotations"] = dict(notes)
        return sets

    @pytest.mark.parametrize(
        ("replicas", "surge", "numbers", "expected"),
        [
            (15, 3, {"old": 8, "new": 5}, {"old": 11, "new": 7}),
            (5, 0, {"old": 5, "new": 5}, {"old": 2, "new": 3}),
            (11, 0, {"old": 5, "new": 5}, {"new": 6}),
            (0, 3, {"old": 8, "new": 5}, {"old": 0, "new": 0}),
            (15, 3, {"old": 10, "new": 0}, {"old": 15}),
            (10, 3, {"old": 8, "new": 5}, {}),
        ],
    )
    def test_scaled_in_the_middle_everyone_gets_a_share(
        self, replicas: int, surge: int, numbers: dict[str, int], expected: dict[str, int]
    ) -> None:
        rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": 2}}
        sets = self.sharing(surge, **numbers)
        obj = stored(replicas, strategy=rolling)
        assert rollout.is_scaled(obj, sets) == (replicas != 10)
        assert rollout.plan_scale(obj, sets) == expected

    @given(
        st.integers(0, 40), st.integers(1, 5), st.lists(st.integers(1, 12), min_size=2, max_size=4)
    )
    def test_shares_add_up(self, replicas: int, surge: int, held: list[int]) -> None:
        sets = self.sharing(surge, **{f"set{i}": number for i, number in enumerate(held)})
        for found in sets:
            found["metadata"]["annotations"][rollout.MAXIMUM] = str(sum(held))
        obj = stored(replicas, strategy={"rollingUpdate": {"maxSurge": surge}})
        numbers = {each["metadata"]["name"]: rollout.replicas_of(each) for each in sets}
        planned = numbers | rollout.plan_scale(obj, sets)
        assert min(planned.values()) >= 0
        assert sum(planned.values()) == (replicas + surge if replicas else 0)

    def test_a_template_has_one_name(self) -> None:
        template = cluster.deployment()["spec"]["template"]
        assert rollout.template_hash(template) == rollout.template_hash(dict(template))
        assert rollout.template_hash(template) != rollout.template_hash(template, 1)


# --- the controller ------------------------------------------------------------------------------


class Played:
    """A cluster with both controllers, whose pods become ready when the test says so."""

    def __init__(self, objects: registry.Registry) -> None:
        self.objects = objects
        self.fewest = self.most = 0

    async def settle(self) -> None:
        for _ in range(60):
            await asyncio.sleep(0)

    def pods(self) -> list[resources.Object]:
        return [s.object for s in self.objects.store.list(resources.PODS, "default")]

    def ready(self) -> int:
        return sum(
            conditions.find_condition(pod, "Ready").get("status") == "True" for pod in self.pods()
        )

    async def run_pods(self) -> None:
        """One pod after the other becomes ready, until no more are waiting."""
        await self.settle()
        self.fewest, self.most = self.ready(), len(self.pods())
        while waiting := [pod for pod in self.pods() if pod["status"]["phase"] == "Pending"]:
            state = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            self.objects.update(
                pods.KIND,
                "default",
                waiting[0]["metadata"]["name"],
                lambda old: {**old, "status": state},  # noqa: B023
                subresource="status",
            )
            await self.settle()
            self.fewest = min(self.fewest, self.ready())
            self.most = max(self.most, len(self.pods()))

    def change(self, modify: Callable[[resources.Object], None]) -> None:
        def changed(old: resources.Object) -> resources.Object:
            modify(old)
            return old

        self.objects.update(kind.KIND, "default", "web", changed)

    def image(self, image: str) -> None:
        self.change(
            lambda old: old["spec"]["template"]["spec"]["containers"][0].update(image=image)
        )

    @property
    def deployment(self) -> resources.Object:
        return self.objects.get(kind.KIND, "default", "web").object

    def sets(self) -> dict[str, int]:
        found = self.objects.store.list(resources.REPLICA_SETS, "default")
        return {
            stored.object["metadata"]["annotations"][rollout.REVISION]: rollout.replicas_of(
                stored.object
            )
            for stored in found
        }

    def progress(self) -> tuple[str, str]:
        found = conditions.find_condition(self.deployment, "Progressing")
        return found["status"], found["reason"]


def play(objects: registry.Registry, scenario: Callable[[Played], Any]) -> None:
    async def run() -> None:
        loops = [deployments.Controller(objects).run(), replicasets.Controller(objects).run()]
        tasks = [asyncio.ensure_future(loop) for loop in loops]
        await scenario(Played(objects))
        for task in tasks:
            task.cancel()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_rolling_update_keeps_its_bounds(objects: registry.Registry) -> None:
    async def scenario(world: Played) -> None:
        objects.create(kind.KIND, "default", cluster.deployment(replicas=4))
        await world.run_pods()
        assert (world.sets(), world.progress()) == ({"1": 4}, ("True", "NewReplicaSetAvailable"))
        world.image("labkit/echo:2")
        await world.run_pods()
        assert world.sets() == {"1": 0, "2": 4}
        assert (world.fewest, world.most) == (3, 5)
        assert rollout.is_complete(world.deployment)
        assert rollout.revision_of(world.deployment) == 2
        world.image("labkit/echo")
        await world.run_pods()
        assert world.sets() == {"3": 4, "2": 0}

    play(objects, scenario)


def test_recreate(objects: registry.Registry) -> None:
    async def scenario(world: Played) -> None:
        objects.create(kind.KIND, "default", cluster.deployment(strategy=RECREATE))
        await world.run_pods()
        world.image("labkit/echo:2")
        await world.run_pods()
        assert (world.sets(), world.most) == ({"1": 0, "2": 3}, 3)

    play(objects, scenario)


def test_paused_it_scales_and_does_not_roll(objects: registry.Registry) -> None:
    async def scenario(world: Played) -> None:
        objects.create(kind.KIND, "default", cluster.deployment())
        await world.run_pods()
        world.change(lambda old: old["spec"].update(paused=True, replicas=2))
        world.image("labkit/echo:2")
        await world.run_pods()
        assert world.sets() == {"1": 2}
        assert world.progress() == ("Unknown", "DeploymentPaused")

    play(objects, scenario)


def test_old_revisions_are_forgotten(objects: registry.Registry) -> None:
    async def scenario(world: Played) -> None:
        objects.create(kind.KIND, "default", cluster.deployment(revisionHistoryLimit=1))
        for image in ("a", "b", "c"):
            world.image(image)
            await world.run_pods()
        assert world.sets() == {"2": 0, "3": 3}

    play(objects, scenario)


def test_one_that_does_not_move_is_given_up(objects: registry.Registry) -> None:
    async def scenario(world: Played) -> None:
        objects.create(kind.KIND, "default", cluster.deployment(progressDeadlineSeconds=60))
        await world.settle()
        assert world.progress() == ("True", "ReplicaSetUpdated")
        assert isinstance(objects.clock, cluster.Clock)
        objects.clock.now += 61
        world.change(lambda old: old["metadata"].update(labels={"a": "b"}))
        await world.settle()
        assert world.progress() == ("False", "ProgressDeadlineExceeded")
        available = conditions.find_condition(world.deployment, "Available")
        assert available["reason"] == "MinimumReplicasUnavailable"

    play(objects, scenario)


def test_a_name_that_is_taken_and_an_orphan(objects: registry.Registry) -> None:
    async def scenario(world: Played) -> None:
        made = objects.create(kind.KIND, "default", cluster.deployment()).object
        planned = deployments.plan_set(made, [], 1)
        planned["metadata"]["ownerReferences"][0]["uid"] = "uid-of-another"
        objects.create(sets_kind.KIND, "default", planned)
        await world.settle()
        assert world.deployment["status"]["collisionCount"] == 1
        assert len(world.sets()) == 1
        assert len(list(objects.store.list(resources.REPLICA_SETS, "default"))) == 2

    play(objects, scenario)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"revisionHistoryLimit": -1}, "spec.revisionHistoryLimit: Invalid value: -1"),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "101%"}}},
            'maxUnavailable: Invalid value: "101%": must not be greater than 100%',
        ),
        ({"strategy": {"type": "Blue"}}, 'spec.strategy.type: Unsupported value: "Blue"'),
        (
            {"strategy": {**RECREATE, "rollingUpdate": {}}},
            "spec.strategy.rollingUpdate: Forbidden: may not be specified",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            "may not be 0 when `maxSurge` is 0",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": "x", "maxUnavailable": -1}}},
            "a valid percent string must be a numeric string",
        ),
        ({"progressDeadlineSeconds": 0}, "must be greater than minReadySeconds"),
    ],
)
def test_what_it_may_not_be(api: cluster.Client, change: dict[str, Any], message: str) -> None:
    refused = api("POST", PATH, cluster.deployment(**change))
    assert refused.code == 422
    assert message in refused.message
