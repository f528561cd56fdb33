"""Which pods are behind a Service, and at which port."""

from __future__ import annotations

import asyncio
from typing import Any

from labkit.apiserver import registry
from labkit.apiserver.controllers import endpoints, triggers
from labkit.apiserver.kinds import endpoints as endpoints_kind
from labkit.apiserver.kinds import pods, services
from labkit.model import resources
from tests.unit.apiserver import cluster


def service(**spec: Any) -> resources.Object:
    obj = cluster.service(**spec)
    obj["metadata"]["namespace"] = "default"
    services.default(obj)
    return obj


def pod(name: str, ip: str, *, ready: str = "True", **spec: Any) -> resources.Object:
    obj = cluster.pod(name, nodeName="node1", **spec)
    obj["metadata"] |= {"namespace": "default", "uid": f"uid-{name}"}
    obj["status"] = {
        "phase": "Running",
        "podIP": ip,
        "conditions": [{"type": "Ready", "status": ready}],
    }
    return obj


def plan(svc: resources.Object, *members: resources.Object, **more: Any) -> Any:
    planned = endpoints.plan_endpoints(svc, members, **more)
    return planned["subsets"] if planned else None


def addresses(subset: dict[str, Any], field: str = "addresses") -> list[str]:
    return [address["ip"] for address in subset.get(field, [])]


def test_a_ready_pod_is_an_address_and_another_is_not() -> None:
    (subset,) = plan(service(), pod("a", "10.0.0.2"), pod("b", "10.0.0.1", ready="False"))
    assert subset == {
        "addresses": [
            {
                "ip": "10.0.0.2",
                "nodeName": "node1",
                "targetRef": {"kind": "Pod", "name": "a", "namespace": "default", "uid": "uid-a"},
            }
        ],
        "notReadyAddresses": [
            {
                "ip": "10.0.0.1",
                "nodeName": "node1",
                "targetRef": {"kind": "Pod", "name": "b", "namespace": "default", "uid": "uid-b"},
            }
        ],
        "ports": [{"port": 8080, "protocol": "TCP"}],
    }


def test_who_is_no_member() -> None:
    stranger = pod("a", "10.0.0.1", labels={"name": "other"})
    ended = pod("b", "10.0.0.2")
    ended["status"]["phase"] = "Succeeded"
    ending = pod("c", "10.0.0.3")
    ending["metadata"]["deletionTimestamp"] = "2023-11-14T22:13:20Z"
    unborn = pod("d", "")
    assert plan(service(), stranger, ended, ending, unborn) == []


def test_publish_not_ready_addresses() -> None:
    ending = pod("a", "10.0.0.1", ready="False")
    ending["metadata"]["deletionTimestamp"] = "2023-11-14T22:13:20Z"
    (subset,) = plan(service(publishNotReadyAddresses=True), ending)
    assert addresses(subset) == ["10.0.0.1"]


def test_beyond_a_thousand_the_ready_ones_are_kept(objects: registry.Registry) -> None:
    def address(number: int) -> str:
        return f"10.0.{number // 250}.{number % 250 + 1}"

    many = [pod(f"p{i}", address(i), ready=str(i >= 300)) for i in range(1300)]
    planned = endpoints.plan_endpoints(service(), many)
    assert planned is not None
    assert planned["metadata"]["annotations"] == {endpoints.OVER_CAPACITY: "truncated"}
    (subset,) = planned["subsets"]
    assert len(addresses(subset)) == 1000
    assert "notReadyAddresses" not in subset
    fewer = endpoints.plan_endpoints(service(), many[:1000])
    assert fewer is not None
    assert "annotations" not in fewer["metadata"]

    async def scenario() -> None:
        task = asyncio.ensure_future(endpoints.Controller(objects).run())
        objects.create(services.KIND, "default", cluster.service())
        notes = {"mine": "stays", endpoints.OVER_CAPACITY: "truncated"}
        stale = {"metadata": {"name": "app1", "annotations": notes}}
        objects.create(endpoints_kind.KIND, "default", stale)
        await asyncio.sleep(0.02)
        task.cancel()

    asyncio.run(scenario())
    kept = objects.get(endpoints_kind.KIND, "default", "app1").object["metadata"]["annotations"]
    assert kept == {"mine": "stays", triggers.ANNOTATION: kept[triggers.ANNOTATION]}


def named(name: str, ip: str, number: int, protocol: str = "TCP") -> resources.Object:
    ports = [{"name": "http", "containerPort": number, "protocol": protocol}]
    return pod(name, ip, containers=[{"name": "c", "image": "x", "ports": ports}])


def test_a_named_port_is_looked_up_in_each_pod() -> None:
    svc = service(ports=[{"name": "web", "port": 80, "targetPort": "http"}])
    members = (named("a", "10.0.0.1", 8080), named("b", "10.0.0.2", 9090), pod("c", "10.0.0.3"))
    subsets = plan(svc, *members, named("d", "10.0.0.4", 8080, "UDP"))
    assert [(addresses(s), s["ports"]) for s in subsets] == [
        (["10.0.0.1"], [{"port": 8080, "protocol": "TCP", "name": "web"}]),
        (["10.0.0.2"], [{"port": 9090, "protocol": "TCP", "name": "web"}]),
    ]


def test_headless_services_are_labelled_and_may_have_no_ports() -> None:
    svc = service(type="ClusterIP", clusterIP="None", ports=[])
    planned = endpoints.plan_endpoints(svc, [pod("a", "10.0.0.1")])
    assert planned is not None
    assert planned["metadata"]["labels"] == {"service.kubernetes.io/headless": ""}
    assert "ports" not in planned["subsets"][0]


def test_a_host_name_below_the_service() -> None:
    member = pod("a", "10.0.0.1", hostname="web-0", subdomain="app1")
    (subset,) = plan(service(), member)
    assert subset["addresses"][0]["hostname"] == "web-0"


def test_what_is_not_this_controllers_business() -> None:
    assert plan(service(selector={})) is None
    assert plan(service(type="ExternalName", externalName="a.b", ports=[])) is None


class TestController:
    def test_it_follows_services_and_pods(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(endpoints.Controller(objects).run())
            await self.act(objects)
            task.cancel()

        asyncio.run(scenario())

    async def act(self, objects: registry.Registry) -> None:
        objects.create(services.KIND, "default", cluster.service())
        objects.create(pods.KIND, "default", cluster.pod(nodeName="node1"))
        assert await self.shown(objects) == "<none>"
        running = pod("a", "10.0.0.1")["status"]
        self.change(objects, pods.KIND, "default", "a", running)
        assert await self.shown(objects) == "10.0.0.1:8080"
        ill = pod("a", "10.0.0.1", ready="False")["status"]
        self.change(objects, pods.KIND, "default", "a", ill)
        assert await self.shown(objects) == "<none>"
        self.change(objects, pods.KIND, "default", "a", running)
        assert await self.shown(objects) == "10.0.0.1:8080"
        objects.delete(pods.KIND, "default", "a", registry.DeleteOptions(0))
        assert await self.shown(objects) == "<none>"
        objects.delete(services.KIND, "default", "app1", registry.DeleteOptions())
        await self.settle()
        assert objects.store.get(resources.ENDPOINTS, "default", "app1") is None

    def change(
        self, objects: registry.Registry, kind: Any, namespace: str, name: str, status: Any
    ) -> None:
        objects.update(
            kind, namespace, name, lambda old: {**old, "status": status}, subresource="status"
        )

    async def shown(self, objects: registry.Registry) -> str:
        await self.settle()
        found = objects.get(endpoints_kind.KIND, "default", "app1")
        return endpoints_kind.render_endpoints(found.object)

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


def test_the_endpoints_column() -> None:
    many = [{"ip": f"10.0.0.{i}"} for i in range(1, 6)]
    obj = {"subsets": [{"addresses": many, "ports": [{"port": 80}]}]}
    assert endpoints_kind.render_endpoints(obj) == (
        "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."
    )
