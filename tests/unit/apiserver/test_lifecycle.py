"""Namespaces that end, events that expire, and what always comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labkit import errors
from labkit.apiserver import binding, bootstrap, registry, store, timestamps
from labkit.apiserver.controllers import api_service, expiry, loops, namespaces
from labkit.apiserver.kinds import endpoints as endpoints_kind
from labkit.apiserver.kinds import events, pods, services
from labkit.apiserver.kinds import namespaces as namespaces_kind
from labkit.apiserver.kinds import nodes as nodes_kind
from labkit.model import resources
from tests.unit.apiserver import cluster


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


class TestNamespaces:
    def test_it_ends_when_it_is_empty(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(namespaces.Controller(objects).run())
            objects.create(namespaces_kind.KIND, "", {"metadata": {"name": "x"}})
            objects.create(services.KIND, "x", cluster.service())
            objects.create(pods.KIND, "x", cluster.pod())
            binding.bind(objects, "x", "a", "node1")
            self.delete(objects)
            await settle()
            self.check_terminating(objects)
            objects.delete(pods.KIND, "x", "a", registry.DeleteOptions(0))
            await settle()
            task.cancel()

        asyncio.run(scenario())
        assert objects.store.get(resources.NAMESPACES, "", "x") is None

    def delete(self, objects: registry.Registry) -> None:
        outcome = objects.delete(namespaces_kind.KIND, "", "x", registry.DeleteOptions())
        assert not outcome.gone
        assert outcome.stored.object["status"]["phase"] == "Terminating"

    def check_terminating(self, objects: registry.Registry) -> None:
        """The Service is gone, the pod is ending on its node, and nothing new may come."""
        assert not list(objects.store.list(resources.SERVICES, "x"))
        (pod,) = objects.store.list(resources.PODS, "x")
        assert pod.object["metadata"]["deletionTimestamp"]
        with pytest.raises(errors.ApiError) as caught:
            objects.create(pods.KIND, "x", cluster.pod("b"))
        assert str(caught.value) == (
            'pods "b" is forbidden: unable to create new content in namespace x '
            "because it is being terminated"
        )

    def test_the_clusters_own_stay(self, objects: registry.Registry) -> None:
        with pytest.raises(errors.ApiError, match="this namespace may not be deleted"):
            objects.delete(namespaces_kind.KIND, "", "default", registry.DeleteOptions())

    def test_a_namespace_is_labelled_with_its_name(self, objects: registry.Registry) -> None:
        meta = objects.get(namespaces_kind.KIND, "", "default").object["metadata"]
        assert meta["labels"] == {"kubernetes.io/metadata.name": "default"}


class TestEvents:
    def event(self, last: float) -> resources.Object:
        return {
            "metadata": {"name": f"e{last:.0f}"},
            "involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"},
            "lastTimestamp": timestamps.render(last),
        }

    def test_they_expire_after_an_hour(self, objects: registry.Registry) -> None:
        now = objects.clock()
        for age in (3599, 3600, 3601):
            objects.create(events.KIND, "default", self.event(now - age))
        found = objects.store.list(resources.EVENTS)
        assert len(expiry.plan_expired(found, now, events.EXPIRES_S)) == 2

        async def scenario() -> None:
            task = asyncio.ensure_future(expiry.Controller(objects).run())
            await settle()
            task.cancel()

        asyncio.run(scenario())
        assert len(list(objects.store.list(resources.EVENTS))) == 1

    def test_an_event_is_where_its_object_is(self, objects: registry.Registry) -> None:
        wrong = self.event(0)
        wrong["involvedObject"]["namespace"] = "other"
        with pytest.raises(errors.Invalid, match="does not match"):
            objects.create(events.KIND, "default", wrong)


class TestBootstrap:
    def test_the_api_servers_own_service(self, objects: registry.Registry) -> None:
        spec = objects.get(services.KIND, "default", "kubernetes").object["spec"]
        assert spec["clusterIP"] == "10.96.0.1"
        assert spec["ports"][0] == {
            "name": "https",
            "port": 443,
            "protocol": "TCP",
            "targetPort": 6443,
        }
        behind = objects.get(endpoints_kind.KIND, "default", "kubernetes").object
        assert endpoints_kind.render_endpoints(behind) == "192.168.56.10:6443"

    def test_it_comes_back(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(api_service.Controller(objects, cluster.API).run())
            for kind in (services.KIND, endpoints_kind.KIND):
                objects.delete(kind, "default", "kubernetes", registry.DeleteOptions())
            await settle()
            task.cancel()

        asyncio.run(scenario())
        self.test_the_api_servers_own_service(objects)

    def test_starting_again_changes_nothing(self, objects: registry.Registry) -> None:
        before = objects.store.revision
        bootstrap.ensure_initial(objects, cluster.API)
        assert objects.store.revision == before

    def test_an_address_that_somebody_has_is_told(self) -> None:
        with store.Store(None) as empty:
            objects = registry.Registry(empty, cluster.RANGES)
            objects.load()
            objects.create(namespaces_kind.KIND, "", {"metadata": {"name": "default"}})
            thief = cluster.service(clusterIP="10.96.0.1")
            objects.create(services.KIND, "default", thief)
            with pytest.raises(errors.ConfigError, match=r"cannot have the address 10\.96\.0\.1"):
                bootstrap.ensure_initial(objects, cluster.API)


def test_all_controllers_run_together(objects: registry.Registry) -> None:
    async def scenario() -> str:
        async with loops.running(objects, cluster.API):
            objects.create(nodes_kind.KIND, "", cluster.node())
            objects.create(services.KIND, "default", cluster.service())
            objects.create(pods.KIND, "default", cluster.pod())
            await settle()
            _run_pod(objects)
            await settle()
        found = objects.get(endpoints_kind.KIND, "default", "app1").object
        return endpoints_kind.render_endpoints(found)

    assert asyncio.run(scenario()) == "10.244.1.2:8080"


def _run_pod(objects: registry.Registry) -> None:
    state: dict[str, Any] = {"type": "Ready", "status": "True"}
    running = {"phase": "Running", "podIP": "10.244.1.2", "conditions": [state]}

    def run(old: resources.Object) -> resources.Object:
        return {**old, "status": running}

    objects.update(pods.KIND, "default", "a", run, subresource="status")
