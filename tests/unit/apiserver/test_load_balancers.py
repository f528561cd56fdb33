"""Addresses from a pool, and who answers for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.apiserver import registry
from labkit.apiserver.controllers import load_balancers, root_ca
from labkit.apiserver.kinds import configmaps, namespaces, services
from labkit.apiserver.kinds import nodes as nodes_kind
from labkit.model import kubelet, pool, resources
from tests.unit.apiserver import cluster

POOL = pool.parse_pool("192.168.56.200-192.168.56.202")


def balanced(name: str = "app1", **spec: Any) -> resources.Object:
    ports = [{"port": 8080, "targetPort": 8080}]
    return cluster.service(name, type="LoadBalancer", **{"ports": ports, **spec})


def announcing(name: str, *addresses: str, **more: Any) -> resources.Object:
    made = cluster.node(name, **more)
    made["metadata"]["annotations"] = {kubelet.ANNOUNCED: ",".join(addresses)}
    return made


class TestPool:
    def test_what_it_may_be(self) -> None:
        assert [str(address) for address in POOL] == [f"192.168.56.{i}" for i in (200, 201, 202)]
        assert IPv4Address("192.168.56.202") in POOL
        assert IPv4Address("192.168.56.203") not in POOL
        assert str(pool.parse_pool("10.0.0.7")) == "10.0.0.7-10.0.0.7"
        for wrong in ("", "10.0.0.9-10.0.0.1", "10.0.0.1/24", "a-b"):
            with pytest.raises(ValueError):  # noqa: PT011 - argparse says the rest
                pool.parse_pool(wrong)


class TestAddress:
    def holding(self, address: str, **spec: Any) -> resources.Object:
        made = balanced(**spec)
        made["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}
        return made

    def test_the_first_that_is_free(self) -> None:
        taken = {"192.168.56.200": "default/other"}
        grant = load_balancers.plan_address(balanced(), taken, POOL)
        assert grant == load_balancers.Grant("192.168.56.201")

    def test_what_it_has_it_keeps(self) -> None:
        held = self.holding("192.168.56.202")
        assert load_balancers.plan_address(held, {}, POOL).address == "192.168.56.202"
        stolen = {"192.168.56.202": "default/other"}
        assert load_balancers.plan_address(held, stolen, POOL).address == "192.168.56.200"
        foreign = self.holding("10.0.0.1")
        assert load_balancers.plan_address(foreign, {}, POOL).address == "192.168.56.200"

    def test_what_it_asks_for_it_gets_or_nothing(self) -> None:
        asking = self.holding("192.168.56.200", loadBalancerIP="192.168.56.201")
        assert load_balancers.plan_address(asking, {}, POOL).address == "192.168.56.201"
        taken = {"192.168.56.201": "default/other"}
        assert load_balancers.plan_address(asking, taken, POOL) == load_balancers.Grant(
            why="192.168.56.201 is the address of default/other"
        )
        for elsewhere in ("10.0.0.1", "fd00::1"):
            grant = load_balancers.plan_address(balanced(loadBalancerIP=elsewhere), {}, POOL)
            assert grant.why == (
                f"{elsewhere} is not among the addresses 192.168.56.200-192.168.56.202"
            )


class TestAnnouncers:
    def test_addresses_are_spread_and_stay(self) -> None:
        two = [cluster.node("node1"), cluster.node("node2")]
        wanted = ["192.168.56.200", "192.168.56.201", "192.168.56.202"]
        planned = load_balancers.plan_announcers(wanted, two)
        assert planned == {
            "node1": ("192.168.56.200", "192.168.56.202"),
            "node2": ("192.168.56.201",),
        }
        held = [announcing("node1"), announcing("node2", *wanted)]
        assert load_balancers.plan_announcers(wanted, held)["node2"] == tuple(wanted)

    @pytest.mark.parametrize("label", [None, load_balancers.EXCLUDED])
    def test_who_cannot_answer_loses_them(self, label: str | None) -> None:
        first = announcing("node1", "192.168.56.200", ready="True" if label else "Unknown")
        if label:
            first["metadata"]["labels"][label] = ""
        planned = load_balancers.plan_announcers(["192.168.56.200"], [first, cluster.node("node2")])
        assert planned == {"node1": (), "node2": ("192.168.56.200",)}
        assert load_balancers.plan_announcers(["192.168.56.200"], [first]) == {"node1": ()}

    @given(
        st.lists(st.integers(0, 5), unique=True),
        st.lists(st.lists(st.integers(0, 5), unique=True), min_size=1, max_size=4),
        st.lists(st.booleans(), min_size=4, max_size=4),
    )
    def test_each_address_has_one_node_and_moves_only_if_it_must(
        self, wanted: list[int], held: list[list[int]], ready: list[bool]
    ) -> None:
        def name(number: int) -> str:
            return f"192.168.56.20{number}"

        nodes = [
            announcing(f"node{i}", *map(name, numbers), ready="True" if ready[i] else "Unknown")
            for i, numbers in enumerate(held)
        ]
        planned = load_balancers.plan_announcers(map(name, wanted), nodes)
        given_out = sorted(address for known in planned.values() for address in known)
        able = [i for i in range(len(held)) if ready[i]]
        assert given_out == (sorted(map(name, wanted)) if able else [])
        for number in wanted:
            holders = [i for i in able if number in held[i]]
            if holders:
                assert any(name(number) in planned[f"node{i}"] for i in holders)


class TestController:
    def run(self, objects: registry.Registry, act: Callable[[], Awaitable[None]]) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(load_balancers.Controller(objects, POOL).run())
            async with asyncio.timeout(5):
                await act()
            task.cancel()

        asyncio.run(scenario())

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    def create(self, objects: registry.Registry, name: str = "app1", **spec: Any) -> None:
        objects.create(services.KIND, "default", balanced(name, **spec))

    def change(self, objects: registry.Registry, **spec: Any) -> None:
        objects.update(
            services.KIND,
            "default",
            "app1",
            lambda old: {**old, "spec": {**old["spec"], **spec}},
        )

    def ingress(self, objects: registry.Registry, name: str = "app1") -> Any:
        status = objects.get(services.KIND, "default", name).object["status"]
        return status["loadBalancer"].get("ingress")

    def announced(self, objects: registry.Registry) -> dict[str, tuple[str, ...]]:
        return {
            stored.name: load_balancers.announced_by(stored.object)
            for stored in objects.store.list(resources.NODES)
        }

    def said(self, objects: registry.Registry) -> dict[str, str]:
        events = (stored.object for stored in objects.store.list(resources.EVENTS))
        return {event["reason"]: event["message"] for event in events}

    def test_a_service_gets_an_address_and_a_node(self, objects: registry.Registry) -> None:
        async def act() -> None:
            objects.create(nodes_kind.KIND, "", cluster.node("node1"))
            self.create(objects)
            await self.settle()
            assert self.ingress(objects) == [{"ip": "192.168.56.200", "ipMode": "VIP"}]
            assert self.announced(objects) == {"node1": ("192.168.56.200",)}
            self.change(objects, type="NodePort")
            await self.settle()
            assert self.ingress(objects) is None
            assert self.announced(objects) == {"node1": ()}

        self.run(objects, act)
        assert self.said(objects) == {
            "EnsuringLoadBalancer": "Ensuring load balancer",
            "EnsuredLoadBalancer": "Ensured load balancer",
            "nodeAssigned": 'announcing from node "node1" with protocol "layer2"',
        }

    def test_it_moves_with_the_readiness_of_nodes(self, objects: registry.Registry) -> None:
        async def act() -> None:
            for name in ("node1", "node2"):
                objects.create(nodes_kind.KIND, "", cluster.node(name))
            self.create(objects)
            await self.settle()
            ill = cluster.node(ready="Unknown")["status"]
            objects.update(
                nodes_kind.KIND,
                "",
                "node1",
                lambda old: {**old, "status": ill},
                subresource="status",
            )
            await self.settle()
            assert self.announced(objects) == {"node1": (), "node2": ("192.168.56.200",)}
            objects.delete(nodes_kind.KIND, "", "node2", registry.DeleteOptions())
            await self.settle()
            assert self.announced(objects) == {"node1": ()}

        self.run(objects, act)

    def test_who_finds_the_pool_empty_waits_for_an_address(
        self, objects: registry.Registry
    ) -> None:
        async def act() -> None:
            for name in ("a", "b", "c", "d"):
                self.create(objects, name)
                await self.settle()
            assert self.ingress(objects, "d") is None
            assert "no address is free" in self.said(objects)["SyncLoadBalancerFailed"]
            objects.delete(services.KIND, "default", "b", registry.DeleteOptions())
            await self.settle()
            assert self.ingress(objects, "d") == [{"ip": "192.168.56.201", "ipMode": "VIP"}]

        self.run(objects, act)

    def test_what_is_somebody_elses(self, objects: registry.Registry) -> None:
        async def act() -> None:
            self.create(objects, loadBalancerClass="example.com/mine")
            await self.settle()
            assert self.ingress(objects) is None

        self.run(objects, act)

    def test_after_a_restart_everything_is_as_it_was(self, objects: registry.Registry) -> None:
        async def act() -> None:
            self.create(objects, "b")
            self.create(objects, "a")
            objects.create(nodes_kind.KIND, "", cluster.node("node1"))
            await self.settle()

        self.run(objects, act)
        before = objects.store.revision
        self.run(objects, self.settle)
        assert objects.store.revision == before


class TestKind:
    def test_what_only_a_load_balancer_has(self, objects: registry.Registry) -> None:
        wrong: dict[str, Any] = {
            "loadBalancerClass": "example.com/mine",
            "allocateLoadBalancerNodePorts": True,
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
        }
        with pytest.raises(errors.Invalid) as caught:
            objects.create(services.KIND, "default", cluster.service(**wrong))
        for field in wrong:
            expected = f"spec.{field}: Forbidden: may only be used when `type` is 'LoadBalancer'"
            assert expected in str(caught.value)
        bad = balanced(loadBalancerSourceRanges=["10.0.0/8"])
        with pytest.raises(errors.Invalid, match=r"loadBalancerSourceRanges\[0\]: Invalid value"):
            objects.create(services.KIND, "default", bad)

    def test_its_class_is_for_life(self, objects: registry.Registry) -> None:
        objects.create(services.KIND, "default", balanced(loadBalancerClass="example.com/mine"))

        def change(**spec: Any) -> registry.Modify:
            return lambda old: {**old, "spec": {**old["spec"], **spec}}

        with pytest.raises(errors.Invalid, match="may not change once set"):
            objects.update(services.KIND, "default", "app1", change(loadBalancerClass="a/b"))
        made = objects.update(services.KIND, "default", "app1", change(type="NodePort"))
        assert "loadBalancerClass" not in made.object["spec"]

    def test_without_node_ports(self, objects: registry.Registry) -> None:
        made = balanced(allocateLoadBalancerNodePorts=False)
        (port,) = objects.create(services.KIND, "default", made).object["spec"]["ports"]
        assert "nodePort" not in port


def test_every_namespace_is_told_whom_to_trust(objects: registry.Registry) -> None:
    def text(namespace: str) -> str:
        found = objects.get(configmaps.KIND, namespace, root_ca.NAME).object
        return str(found["data"]["ca.crt"])

    async def scenario() -> None:
        task = asyncio.ensure_future(root_ca.Controller(objects, "PEM").run())
        objects.create(namespaces.KIND, "", {"metadata": {"name": "x"}})
        await asyncio.sleep(0.02)
        assert text("default") == text("x") == "PEM"
        objects.delete(configmaps.KIND, "x", root_ca.NAME, registry.DeleteOptions())
        objects.update(
            configmaps.KIND, "default", root_ca.NAME, lambda old: {**old, "data": {"ca.crt": "no"}}
        )
        await asyncio.sleep(0.02)
        assert text("default") == text("x") == "PEM"
        task.cancel()

    asyncio.run(scenario())
