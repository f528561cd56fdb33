"""The pods behind a Service in slices: what each says, and how few writes a change costs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import registry
from labkit.apiserver.controllers import endpointslices
from labkit.apiserver.kinds import endpoints as endpoints_kind
from labkit.apiserver.kinds import endpointslices as slices
from labkit.apiserver.kinds import nodes, pods, services
from labkit.model import resources
from tests.unit.apiserver import cluster
from tests.unit.apiserver.test_endpoints import named, pod, service

PATH = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
PORT = {"name": "", "port": 8080, "protocol": "TCP"}


def conditions(svc: resources.Object, *members: resources.Object, **more: Any) -> Any:
    (group,) = endpointslices.plan_groups(svc, members, **more)
    return [tuple(endpoint["conditions"].values()) for endpoint in group.endpoints]


def ending(name: str, ip: str, **more: Any) -> resources.Object:
    member = pod(name, ip, **more)
    member["metadata"]["deletionTimestamp"] = "2023-11-14T22:13:20Z"
    return member


class TestGroups:
    def test_what_a_slice_says_of_a_pod(self) -> None:
        (group,) = endpointslices.plan_groups(service(), [pod("a", "10.0.0.2")])
        assert group.ports == (PORT,)
        assert group.endpoints == (
            {
                "addresses": ["10.0.0.2"],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {"kind": "Pod", "name": "a", "namespace": "default", "uid": "uid-a"},
                "nodeName": "node1",
            },
        )

    def test_ready_serving_and_terminating(self) -> None:
        well, ill = pod("a", "10.0.0.1"), pod("b", "10.0.0.2", ready="False")
        members = (well, ill, ending("c", "10.0.0.3"), ending("d", "10.0.0.4", ready="False"))
        assert conditions(service(), *members) == [
            (True, True, False),
            (False, False, False),
            (False, True, True),
            (False, False, True),
        ]
        published = conditions(service(publishNotReadyAddresses=True), *members)
        assert [ready for ready, _, _ in published] == [True] * 4

    def test_who_has_no_address_or_has_ended_is_left_out(self) -> None:
        ended = pod("b", "10.0.0.2")
        ended["status"]["phase"] = "Failed"
        groups = endpointslices.plan_groups(service(), [pod("a", ""), ended])
        assert groups == (endpointslices.Group(),)

    def test_pods_with_other_ports_are_another_group(self) -> None:
        svc = service(ports=[{"name": "web", "port": 80, "targetPort": "http"}])
        members = (named("a", "10.0.0.1", 80), named("b", "10.0.0.2", 90), pod("c", "10.0.0.3"))
        groups = endpointslices.plan_groups(svc, members)
        shown = {
            tuple(port["port"] for port in group.ports): group.endpoints[0]["addresses"][0]
            for group in groups
        }
        assert shown == {(80,): "10.0.0.1", (90,): "10.0.0.2", (): "10.0.0.3"}

    def test_a_host_name_below_the_service(self) -> None:
        member = pod("a", "10.0.0.1", hostname="web-0", subdomain="app1")
        (group,) = endpointslices.plan_groups(service(), [member])
        assert group.endpoints[0]["hostname"] == "web-0"

    def test_a_mirror_of_what_a_person_wrote(self) -> None:
        subset = {
            "addresses": [{"ip": "192.0.2.1", "nodeName": "node1"}],
            "notReadyAddresses": [{"ip": "192.0.2.2"}],
            "ports": [{"port": 80, "protocol": "TCP"}],
        }
        (group,) = endpointslices.mirror_groups({"subsets": [subset]})
        assert group.endpoints == (
            {"addresses": ["192.0.2.1"], "conditions": {"ready": True}, "nodeName": "node1"},
            {"addresses": ["192.0.2.2"], "conditions": {"ready": False}},
        )


# --- slices --------------------------------------------------------------------------------------


def endpoint(number: int, *, ready: bool = True) -> resources.Object:
    return {"addresses": [f"10.0.{number // 250}.{number % 250}"], "conditions": {"ready": ready}}


def group(*numbers: int, port: int = 8080) -> endpointslices.Group:
    ports = ({**PORT, "port": port},)
    return endpointslices.Group(ports, tuple(endpoint(number) for number in numbers))


TEMPLATE: resources.Object = {"metadata": {"labels": {"a": "b"}}, "addressType": "IPv4"}


class World:
    """Slices that a plan is applied to."""

    def __init__(self) -> None:
        self.slices: dict[str, resources.Object] = {}
        self._made = 0

    def follow(self, *groups: endpointslices.Group) -> endpointslices.Plan:
        plan = endpointslices.plan_slices(TEMPLATE, groups, list(self.slices.values()))
        for gone in plan.delete:
            del self.slices[gone["metadata"]["name"]]
        for changed in plan.update:
            self.slices[changed["metadata"]["name"]] = changed
        for new in plan.create:
            self._made += 1
            name = f"s{self._made:03}"
            self.slices[name] = {**new, "metadata": {**new["metadata"], "name": name}}
        return plan

    def sizes(self) -> list[int]:
        return sorted(len(found["endpoints"]) for found in self.slices.values())


def writes(plan: endpointslices.Plan) -> tuple[int, int, int]:
    return len(plan.create), len(plan.update), len(plan.delete)


class TestSlices:
    def test_a_hundred_at_most(self) -> None:
        world = World()
        world.follow(group(*range(250)))
        assert world.sizes() == [50, 100, 100]
        assert writes(world.follow(group(*range(250)))) == (0, 0, 0)

    def test_one_change_is_one_write(self) -> None:
        world = World()
        world.follow(group(*range(250)))
        assert writes(world.follow(group(*range(249)))) == (0, 1, 0)
        assert writes(world.follow(group(*range(250)))) == (0, 1, 0)

    def test_an_empty_service_keeps_an_empty_slice(self) -> None:
        world = World()
        assert writes(world.follow(endpointslices.Group())) == (1, 0, 0)
        assert writes(world.follow(endpointslices.Group())) == (0, 0, 0)
        world.follow(group(1))
        assert world.sizes() == [1]
        world.follow(endpointslices.Group())
        assert world.sizes() == [0]

    def test_labels_are_put_right(self) -> None:
        world = World()
        world.follow(group(1))
        world.slices["s001"]["metadata"]["labels"] = {}
        assert writes(world.follow(group(1))) == (0, 1, 0)

    @given(st.lists(st.lists(st.sets(st.integers(0, 400)), min_size=1, max_size=3), max_size=5))
    def test_what_is_planned_is_what_is_there(self, steps: list[list[set[int]]]) -> None:
        """Whatever happened before: every endpoint once, under its port, and no slice too big."""
        world = World()
        for step in steps:
            groups = [group(*numbers, port=80 + at) for at, numbers in enumerate(step)]
            world.follow(*groups)
            assert writes(world.follow(*groups)) == (0, 0, 0)
            found: dict[int, list[str]] = {80 + at: [] for at in range(len(step))}
            for obj in world.slices.values():
                found[obj["ports"][0]["port"]] += [e["addresses"][0] for e in obj["endpoints"]]
            wanted = {
                80 + at: sorted(endpoint(n)["addresses"][0] for n in numbers)
                for at, numbers in enumerate(step)
            }
            assert {port: sorted(addresses) for port, addresses in found.items()} == wanted
            assert max(world.sizes()) <= endpointslices.MAX_ENDPOINTS


# --- the controller ------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def running(objects: registry.Registry) -> AsyncIterator[None]:
    task = asyncio.ensure_future(endpointslices.Controller(objects).run())
    yield
    task.cancel()


async def shown(objects: registry.Registry, name: str = "app1") -> list[resources.Object]:
    for _ in range(8):
        await asyncio.sleep(0)
    found = objects.store.list(resources.ENDPOINT_SLICES, "default")
    return [
        stored.object
        for stored in found
        if stored.object["metadata"]["labels"][slices.SERVICE_NAME] == name
    ]


class TestController:
    def test_it_follows_services_and_pods(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            async with running(objects):
                await self.follow(objects)

        asyncio.run(scenario())

    async def follow(self, objects: registry.Registry) -> None:
        svc = objects.create(services.KIND, "default", cluster.service())
        objects.create(nodes.KIND, "", cluster.node())
        (empty,) = await shown(objects)
        assert (empty["endpoints"], empty["addressType"]) == ([], "IPv4")
        (owner,) = empty["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Service", svc.object["metadata"]["uid"])
        assert empty["metadata"]["name"].startswith("app1-")
        objects.create(pods.KIND, "default", cluster.pod(nodeName="node1"))
        state = pod("a", "10.0.0.1")["status"]
        objects.update(
            pods.KIND, "default", "a", lambda old: {**old, "status": state}, subresource="status"
        )
        (one,) = await shown(objects)
        assert one["endpoints"][0]["addresses"] == ["10.0.0.1"]
        assert "zone" not in one["endpoints"][0]
        label = {"labels": {"topology.kubernetes.io/zone": "east"}}
        objects.update(
            nodes.KIND, "", "node1", lambda old: {**old, "metadata": {**old["metadata"], **label}}
        )
        (one,) = await shown(objects)
        assert one["endpoints"][0]["zone"] == "east"
        name = one["metadata"]["name"]
        objects.delete(slices.KIND, "default", name, registry.DeleteOptions())
        (again,) = await shown(objects)
        assert again["endpoints"] == one["endpoints"]
        objects.delete(services.KIND, "default", "app1", registry.DeleteOptions())
        assert await shown(objects) == []

    def test_it_mirrors_what_a_person_wrote(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            async with running(objects):
                await self.mirror(objects)

        asyncio.run(scenario())

    async def mirror(self, objects: registry.Registry) -> None:
        objects.create(services.KIND, "default", cluster.service(selector={}))
        assert await shown(objects) == []
        subset = {"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}
        written = {"metadata": {"name": "app1"}, "subsets": [subset]}
        objects.create(endpoints_kind.KIND, "default", written)
        (mirrored,) = await shown(objects)
        assert mirrored["endpoints"][0]["addresses"] == ["192.0.2.1"]
        assert mirrored["metadata"]["labels"][slices.MANAGED_BY] == endpointslices.MIRRORING
        objects.delete(endpoints_kind.KIND, "default", "app1", registry.DeleteOptions())
        assert await shown(objects) == []

    def test_the_api_servers_own_is_left_alone(self, objects: registry.Registry) -> None:
        async def scenario() -> list[resources.Object]:
            async with running(objects):
                return await shown(objects, "kubernetes")

        (own,) = asyncio.run(scenario())
        assert own["endpoints"][0]["addresses"] == ["192.168.56.10"]
        assert own["metadata"]["name"] == "kubernetes"


# --- the kind ------------------------------------------------------------------------------------


def written(**more: Any) -> resources.Object:
    full = {"addressType": "IPv4", "endpoints": [endpoint(1)], "ports": [{"port": 80}], **more}
    return {"metadata": {"name": "s"}, **full}


class TestKind:
    def test_ports_have_a_name_and_a_protocol(self, api: cluster.Client) -> None:
        made = api("POST", PATH, written())
        assert made.json["apiVersion"] == "discovery.k8s.io/v1"
        assert made.json["ports"] == [{"port": 80, "name": "", "protocol": "TCP"}]
        refused = api("PUT", f"{PATH}/s", written(addressType="FQDN", endpoints=[]))
        assert "addressType: Invalid value" in refused.message
        assert "field is immutable" in refused.message

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"addressType": "IPX"}, 'addressType: Unsupported value: "IPX"'),
            ({"endpoints": [{"addresses": []}]}, "endpoints[0].addresses: Required value"),
            ({"endpoints": [{"addresses": ["x"]}]}, "must be a valid IP address"),
            ({"endpoints": [{"addresses": ["::1"]}]}, "must be an IPv4 address"),
            ({"endpoints": [endpoint(1)] * 1001}, "endpoints: Too many: 1001"),
            ({"ports": [{"protocol": "X"}]}, "ports[0].protocol: Unsupported value"),
            ({"ports": [{"name": "A"}]}, "ports[0].name: Invalid value"),
            ({"ports": [{"name": "a"}, {"name": "a"}]}, 'ports[1].name: Duplicate value: "a"'),
        ],
    )
    def test_what_it_may_not_be(
        self, api: cluster.Client, change: dict[str, Any], message: str
    ) -> None:
        refused = api("POST", PATH, written(**change))
        assert refused.code == 422
        assert message in refused.message

    def test_host_names(self, api: cluster.Client) -> None:
        names = written(addressType="FQDN", endpoints=[{"addresses": ["a.example"]}])
        assert api("POST", PATH, names).code == 201

    def test_its_row(self) -> None:
        obj = written(endpoints=[endpoint(n) for n in range(1, 6)], ports=[{"name": "a"}, {}])
        cells = slices.row(obj, 0)
        assert cells[1:4] == ["IPv4", "a,*", "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more..."]
        assert slices.row(written(endpoints=[], ports=[]), 0)[2:4] == ["<unset>", "<unset>"]
