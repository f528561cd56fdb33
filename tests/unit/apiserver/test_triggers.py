"""Since when a change has been on its way: what the endpoints' annotation says."""

from __future__ import annotations

import asyncio
from typing import Any

from labkit.apiserver import registry
from labkit.apiserver.controllers import controller, endpoints, endpointslices, triggers
from labkit.apiserver.kinds import pods, services
from labkit.model import resources
from tests.unit.apiserver import cluster

KEY = ("default", "app1")
BORN, FIRST, SECOND = (f"2026-01-01T00:00:0{second}Z" for second in range(3))


def pod(name: str, moment: str) -> resources.Object:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": moment}
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


SERVICE: resources.Object = {"metadata": {"creationTimestamp": BORN}}


def test_the_first_of_several_changes_counts() -> None:
    seen = triggers.Triggers()
    assert seen.first(KEY, SERVICE, []) == BORN
    assert seen.first(KEY, SERVICE, [pod("a", SECOND), pod("b", FIRST)]) == FIRST


def test_what_was_seen_before_is_no_change() -> None:
    seen = triggers.Triggers()
    seen.first(KEY, SERVICE, [pod("a", FIRST)])
    assert seen.first(KEY, SERVICE, [pod("a", FIRST)]) is None
    assert seen.first(KEY, SERVICE, [pod("a", SECOND)]) == SECOND


def test_a_service_of_the_same_name_is_another_one() -> None:
    seen = triggers.Triggers()
    seen.first(KEY, SERVICE, [])
    seen.forget(KEY)
    assert seen.first(KEY, SERVICE, []) == BORN


def test_without_a_time_the_annotation_goes_and_others_stay() -> None:
    obj = {"metadata": {"annotations": {triggers.ANNOTATION: FIRST, "a": "b"}}}
    assert triggers.note(obj, None) == {"metadata": {"annotations": {"a": "b"}}}
    assert triggers.note({"metadata": {}}, None) == {"metadata": {}}


class TestControllers:
    def test_both_write_when_a_pod_became_ready(self, objects: registry.Registry) -> None:
        asyncio.run(self.scenario(objects))

    async def scenario(self, objects: registry.Registry) -> None:
        makers: list[type[controller.Controller]] = [
            endpoints.Controller,
            endpointslices.Controller,
        ]
        tasks = [asyncio.ensure_future(make(objects).run()) for make in makers]
        objects.create(services.KIND, "default", cluster.service())
        objects.create(pods.KIND, "default", cluster.pod(nodeName="node1"))
        born = objects.get(services.KIND, "default", "app1").object["metadata"]
        assert await self.annotations(objects) == [born["creationTimestamp"]] * 2
        self.become(objects, "True", "2040-01-01T00:00:00Z")
        assert await self.annotations(objects) == ["2040-01-01T00:00:00Z"] * 2
        versions = self.versions(objects)
        self.become(objects, "True", "2040-01-01T00:00:05Z")
        await self.annotations(objects)
        assert self.versions(objects) == versions, "a time alone is no news"
        for task in tasks:
            task.cancel()

    def become(self, objects: registry.Registry, ready: str, moment: str) -> None:
        condition = {"type": "Ready", "status": ready, "lastTransitionTime": moment}
        state = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [condition]}
        objects.update(
            pods.KIND, "default", "a", lambda old: {**old, "status": state}, subresource="status"
        )

    async def annotations(self, objects: registry.Registry) -> list[Any]:
        for _ in range(8):
            await asyncio.sleep(0)
        return [
            obj["metadata"].get("annotations", {}).get(triggers.ANNOTATION)
            for obj in self.written(objects)
        ]

    def versions(self, objects: registry.Registry) -> list[str]:
        return [obj["metadata"]["resourceVersion"] for obj in self.written(objects)]

    def written(self, objects: registry.Registry) -> list[resources.Object]:
        kinds = (resources.ENDPOINTS, resources.ENDPOINT_SLICES)
        found = (one.object for kind in kinds for one in objects.store.list(kind, "default"))
        return [obj for obj in found if obj["metadata"]["name"].startswith("app1")]
