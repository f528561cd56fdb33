"""Service addresses and node ports."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from labkit import errors
from labkit.apiserver import allocation, registry, store
from labkit.apiserver.kinds import namespaces, services
from tests.unit.apiserver import cluster

RANGES = allocation.Ranges(IPv4Network("10.96.0.0/29"), (30000, 30002))


def make(objects: registry.Registry, name: str, **spec: Any) -> dict[str, Any]:
    return dict(
        objects.create(services.KIND, "default", cluster.service(name, **spec)).object["spec"]
    )


@pytest.fixture
def small() -> Iterator[registry.Registry]:
    with store.Store(None) as objects:
        made = registry.Registry(objects, RANGES, cluster.Clock())
        made.load()
        made.create(namespaces.KIND, "", {"metadata": {"name": "default"}})
        yield made


def message_of(caught: pytest.ExceptionInfo[errors.Invalid]) -> str:
    return str(caught.value)


class TestAddresses:
    def test_one_is_drawn_from_the_range(self, objects: registry.Registry) -> None:
        address = make(objects, "a")["clusterIP"]
        assert IPv4Network("10.96.0.0/16").supernet_of(IPv4Network(f"{address}/32"))

    def test_one_can_be_asked_for(self, objects: registry.Registry) -> None:
        assert make(objects, "a", clusterIP="10.96.7.7")["clusterIPs"] == ["10.96.7.7"]

    @pytest.mark.parametrize("address", ["10.97.0.1", "10.96.0.0", "10.96.255.255"])
    def test_outside_the_range(self, objects: registry.Registry, address: str) -> None:
        with pytest.raises(errors.Invalid) as caught:
            make(objects, "a", clusterIP=address)
        assert message_of(caught) == (
            f'Service "a" is invalid: spec.clusterIPs: Invalid value: []string{{"{address}"}}: '
            f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid "
            "range. The range of valid IPs is 10.96.0.0/16"
        )

    def test_taken(self, objects: registry.Registry) -> None:
        make(objects, "a", clusterIP="10.96.7.7")
        with pytest.raises(errors.Invalid, match="provided IP is already allocated"):
            make(objects, "b", clusterIP="10.96.7.7", ports=[{"port": 1}])

    def test_a_deleted_services_address_is_free(self, objects: registry.Registry) -> None:
        make(objects, "a", clusterIP="10.96.7.7")
        objects.delete(services.KIND, "default", "a", registry.DeleteOptions())
        make(objects, "b", clusterIP="10.96.7.7")

    def test_every_address_is_used_before_the_range_is_full(self, small: registry.Registry) -> None:
        ports = [{"port": 1}]
        drawn = {make(small, f"s{i}", type="ClusterIP", ports=ports)["clusterIP"] for i in range(6)}
        assert drawn == {f"10.96.0.{i}" for i in range(1, 7)}
        with pytest.raises(errors.Invalid, match="range is full"):
            make(small, "s7", type="ClusterIP", ports=ports)

    def test_headless_and_external_names_need_none(self, objects: registry.Registry) -> None:
        assert make(objects, "a", type="ClusterIP", clusterIP="None", ports=[])["clusterIPs"] == [
            "None"
        ]
        assert "clusterIP" not in make(
            objects, "b", type="ExternalName", externalName="a.b", ports=[]
        )


class TestNodePorts:
    def test_one_is_drawn(self, objects: registry.Registry) -> None:
        (port,) = make(objects, "a", ports=[{"port": 80}])["ports"]
        assert 30000 <= port["nodePort"] <= 32767

    @pytest.mark.parametrize("number", [99, 29999, 32768])
    def test_outside_the_range(self, objects: registry.Registry, number: int) -> None:
        with pytest.raises(errors.Invalid) as caught:
            make(objects, "app1", ports=[{"port": 80, "nodePort": number}])
        assert message_of(caught) == (
            f'Service "app1" is invalid: spec.ports[0].nodePort: Invalid value: {number}: '
            "provided port is not in the valid range. The range of valid ports is 30000-32767"
        )

    def test_taken(self, objects: registry.Registry) -> None:
        make(objects, "a")
        with pytest.raises(errors.Invalid) as caught:
            make(objects, "app1")
        assert message_of(caught) == (
            'Service "app1" is invalid: spec.ports[0].nodePort: Invalid value: 30062: '
            "provided port is already allocated"
        )

    def test_udp_and_tcp_do_not_meet(self, objects: registry.Registry) -> None:
        make(objects, "a")
        make(objects, "b", ports=[{"port": 53, "protocol": "UDP", "nodePort": 30062}])

    def test_both_protocols_of_a_port_get_one_number(self, objects: registry.Registry) -> None:
        pair = [{"name": p, "port": 53, "protocol": p.upper()} for p in ("tcp", "udp")]
        numbers = {port["nodePort"] for port in make(objects, "a", ports=pair)["ports"]}
        assert len(numbers) == 1

    def test_the_range_can_be_used_up(self, small: registry.Registry) -> None:
        for index in range(3):
            make(small, f"s{index}", ports=[{"port": 1}])
        with pytest.raises(errors.Invalid, match="range is full"):
            make(small, "s4", ports=[{"port": 1}])

    def test_a_failed_creation_holds_nothing(self, objects: registry.Registry) -> None:
        ports = [
            {"name": "a", "port": 1, "nodePort": 30001},
            {"name": "b", "port": 2, "nodePort": 1},
        ]
        with pytest.raises(errors.Invalid, match="not in the valid range"):
            make(objects, "a", ports=ports)
        make(objects, "b", ports=[{"port": 1, "nodePort": 30001}])


def test_allocations_are_kept_over_a_restart(tmp_path: Path) -> None:
    with store.Store(tmp_path) as objects:
        first = registry.Registry(objects, cluster.RANGES)
        first.load()
        first.create(namespaces.KIND, "", {"metadata": {"name": "default"}})
        make(first, "a")
    with store.Store(tmp_path) as objects:
        second = registry.Registry(objects, cluster.RANGES)
        second.load()
        with pytest.raises(errors.Invalid, match="already allocated"):
            make(second, "b")
