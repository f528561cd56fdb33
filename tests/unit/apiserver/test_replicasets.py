"""ReplicaSets: what they may be, which pods they count, and which they make and take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labkit.apiserver import metadata, registry
from labkit.apiserver.controllers import replicasets
from labkit.apiserver.kinds import pods
from labkit.apiserver.kinds import replicasets as kind
from labkit.model import resources
from tests.unit.apiserver import cluster

PATH = "/apis/apps/v1/namespaces/default/replicasets"
MERGE = "application/merge-patch+json"
NOW = 1_700_000_000.0
CREATED = "2023-11-14T22:13:20Z"


def stored(replicas: int = 2, **spec: Any) -> resources.Object:
    obj = cluster.replica_set(replicas=replicas, **spec)
    obj["metadata"] |= {"namespace": "default", "uid": "uid-web", "generation": 1}
    return obj


def pod(name: str, *, owner: str = "uid-web", app: str = "web", **state: Any) -> resources.Object:
    obj = cluster.pod(name, labels={"app": app})
    owners = [{"uid": owner, "controller": True}] if owner else []
    obj["metadata"] |= {"ownerReferences": owners, "creationTimestamp": CREATED}
    return {**obj, "status": {"phase": "Running", **state}}


def ready(name: str, since: str = CREATED) -> resources.Object:
    state = {"type": "Ready", "status": "True", "lastTransitionTime": since}
    return pod(name, conditions=[state])


def names(found: tuple[resources.Object, ...]) -> list[str]:
    return [item["metadata"]["name"] for item in found]


class TestPlan:
    def test_what_is_missing_is_made(self) -> None:
        plan = replicasets.plan_replicas(stored(3), [pod("a")], NOW)
        assert (plan.create, plan.delete) == (2, ())
        assert plan.status == {"replicas": 1, "fullyLabeledReplicas": 1, "observedGeneration": 1}

    def test_what_has_ended_or_is_ending_does_not_count(self) -> None:
        ending = pod("b")
        ending["metadata"]["deletionTimestamp"] = CREATED
        plan = replicasets.plan_replicas(stored(1), [pod("a", phase="Failed"), ending], NOW)
        assert plan.create == 1

    def test_who_is_missed_least_goes_first(self) -> None:
        placed = pod("placed", phase="Pending")
        for member in (one := ready("good"), two := pod("unready"), placed):
            member["spec"]["nodeName"] = "node1"
        plan = replicasets.plan_replicas(stored(1), [one, two, placed, pod("homeless")], NOW)
        assert names(plan.delete) == ["homeless", "placed", "unready"]

    def test_orphans_are_adopted_and_strangers_let_go(self) -> None:
        members = (pod("a", owner=""), pod("b", app="debug"), pod("c", owner="uid-other"))
        plan = replicasets.plan_replicas(stored(1), members, NOW)
        assert (names(plan.adopt), names(plan.release), plan.create) == (["a"], ["b"], 0)

    def test_available_is_ready_for_some_time(self) -> None:
        plan = replicasets.plan_replicas(
            stored(2, minReadySeconds=10), [ready("a", "2023-11-14T22:13:05Z"), ready("b")], NOW
        )
        assert (plan.status["readyReplicas"], plan.status["availableReplicas"]) == (2, 1)
        assert plan.again_s == 10

    def test_one_that_is_ending_does_nothing(self) -> None:
        ending = stored(3)
        ending["metadata"]["deletionTimestamp"] = CREATED
        plan = replicasets.plan_replicas(ending, [pod("a", owner="")], NOW)
        assert (plan.create, plan.adopt) == (0, ())

    def test_a_pod_of_the_template(self) -> None:
        obj = stored()
        made = replicasets.plan_pod(obj)
        assert made["metadata"]["generateName"] == "web-"
        assert made["metadata"]["labels"] == {"app": "web"}
        assert metadata.controller_of(made)["uid"] == "uid-web"
        made["spec"]["containers"].clear()
        assert obj["spec"]["template"]["spec"]["containers"]


class TestController:
    def test_it_makes_takes_and_replaces(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(replicasets.Controller(objects).run())
            await self.act(objects)
            task.cancel()

        asyncio.run(scenario())

    async def act(self, objects: registry.Registry) -> None:
        objects.create(kind.KIND, "default", cluster.replica_set())
        first, second = await self.members(objects)
        assert self.state(objects)["replicas"] == 2
        objects.delete(pods.KIND, "default", first, registry.DeleteOptions())
        assert len(await self.members(objects)) == 2
        objects.update(pods.KIND, "default", second, self.relabel)
        assert len(await self.members(objects)) == 3
        freed = objects.get(pods.KIND, "default", second).object
        assert metadata.controller_of(freed) == {}
        self.scale(objects, 0)
        assert await self.members(objects) == [second]
        reasons = {
            stored.object["reason"] for stored in objects.store.list(resources.EVENTS, "default")
        }
        assert reasons == {"SuccessfulCreate", "SuccessfulDelete"}

    def relabel(self, old: resources.Object) -> resources.Object:
        old["metadata"]["labels"] = {"app": "debug"}
        return old

    def scale(self, objects: registry.Registry, replicas: int) -> None:
        def change(old: resources.Object) -> resources.Object:
            old["spec"]["replicas"] = replicas
            return old

        objects.update(kind.KIND, "default", "web", change)

    def state(self, objects: registry.Registry) -> Any:
        return objects.get(kind.KIND, "default", "web").object["status"]

    async def members(self, objects: registry.Registry) -> list[str]:
        for _ in range(20):
            await asyncio.sleep(0)
        return [stored.name for stored in objects.store.list(resources.PODS, "default")]


class TestKind:
    def test_scale(self, api: cluster.Client) -> None:
        api("POST", PATH, cluster.replica_set())
        scale = api("GET", f"{PATH}/web/scale").json
        assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
        assert scale["status"] == {"replicas": 0, "selector": "app=web"}
        patched = api("PATCH", f"{PATH}/web/scale", {"spec": {"replicas": 5}}, content_type=MERGE)
        assert patched.json["spec"]["replicas"] == 5
        stale = api("PUT", f"{PATH}/web/scale", scale)
        assert stale.json["reason"] == "Conflict"
        found = api("GET", f"{PATH}/web").json
        assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (5, 2)

    def test_generations_count_the_spec_only(self, api: cluster.Client) -> None:
        assert api("POST", PATH, cluster.replica_set()).json["metadata"]["generation"] == 1
        label = {"metadata": {"labels": {"a": "b"}}}
        patched = api("PATCH", f"{PATH}/web", label, content_type=MERGE)
        assert patched.json["metadata"]["generation"] == 1

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"replicas": -1}, "spec.replicas: Invalid value: -1"),
            ({"selector": None}, "spec.selector: Required value"),
            ({"selector": {}}, "spec.selector: Invalid value: empty selector"),
            (
                {"selector": {"matchLabels": {"app": "x"}}},
                (
                    'spec.template.metadata.labels: Invalid value: map[string]string{"app":"web"}: '
                    "`selector` does not match template `labels`"
                ),
            ),
            (
                {"selector": {"matchExpressions": [{"key": "app", "operator": "Is"}]}},
                'spec.selector.matchExpressions[0].operator: Unsupported value: "Is"',
            ),
            ({"template": {}}, "spec.template.spec.containers: Required value"),
        ],
    )
    def test_what_it_may_not_be(
        self, api: cluster.Client, change: dict[str, Any], message: str
    ) -> None:
        refused = api("POST", PATH, cluster.replica_set(**change))
        assert refused.code == 422
        assert message in refused.message

    def test_pods_of_a_template_start_again(self, api: cluster.Client) -> None:
        obj = cluster.replica_set()
        obj["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        refused = api("POST", PATH, obj).message
        assert refused.endswith('Unsupported value: "Never": supported values: "Always"')

    def test_its_selector_is_for_life(self, api: cluster.Client) -> None:
        api("POST", PATH, cluster.replica_set())
        other = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}
        refused = api("PUT", f"{PATH}/web", cluster.replica_set(selector=other))
        assert refused.message.endswith("field is immutable")
