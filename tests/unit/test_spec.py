"""What a lab is to be: names and addresses follow from a few numbers; the rest is refused."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.model import pool, spec


def test_the_default_lab() -> None:
    lab = spec.plan()
    assert [(node.name, node.role, str(node.address)) for node in lab.nodes] == [
        ("control", "control-plane", "192.168.56.10"),
        ("node1", "worker", "192.168.56.11"),
        ("node2", "worker", "192.168.56.12"),
        ("client", "outside", "192.168.56.100"),
    ]
    assert [str(node.pod_network) for node in lab.cluster] == [
        "10.244.0.0/24",
        "10.244.1.0/24",
        "10.244.2.0/24",
    ]
    assert lab.learner_address == IPv4Address("192.168.56.1")
    assert lab.api_service_address == IPv4Address("10.96.0.1")
    assert lab.control.name == "control"
    assert not lab.node("client").in_cluster


def test_more_clients_are_numbered_from_the_second_on() -> None:
    lab = spec.plan(clients=3)
    assert [node.name for node in lab.nodes][-3:] == ["client", "client2", "client3"]


@given(workers=st.integers(1, 80), clients=st.integers(0, 50))
def test_no_two_machines_share_an_address_and_no_two_nodes_a_pod_network(
    workers: int, clients: int
) -> None:
    lab = spec.plan(workers=workers, clients=clients)
    addresses = [node.address for node in lab.nodes]
    networks = [node.pod_network for node in lab.cluster]
    assert len(set(addresses)) == len(addresses) == 1 + workers + clients
    assert len(set(networks)) == len(networks) == 1 + workers
    assert lab.learner_address not in addresses
    assert all(address in lab.machine_network for address in addresses)
    assert spec.from_json(lab.to_json()) == lab


def test_an_unknown_node_is_answered_with_those_there_are() -> None:
    with pytest.raises(errors.NothingMatched, match="has no node 'node9'") as caught:
        spec.plan().node("node9")
    assert caught.value.hint == "it has control, node1, node2, client"


@pytest.mark.parametrize("name", ["lab", "a", "0", "a-b", "x" * 28])
def test_names_that_can_be(name: str) -> None:
    assert spec.check_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "..", "-a", "a-", "A", "a b", "a\n", "x" * 29, "ä"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(errors.ConfigError, match="cannot be a lab's name"):
        spec.check_name(name)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"workers": 0}, "nodes.workers is 0"),
        ({"load_balancers": pool.parse_pool("192.168.57.0/28")}, "192.168.57.0 is outside of"),
        ({"load_balancers": pool.parse_pool("192.168.56.11")}, "192.168.56.11 is node1's"),
        ({"load_balancers": pool.parse_pool("192.168.56.1")}, "is the learner's own machine's"),
        ({"load_balancers": pool.parse_pool("192.168.56.240/28")}, "broadcast address"),
        ({"workers": 81}, "nodes.workers is 81"),
        ({"clients": -1}, "nodes.clients is -1"),
        ({"pod_network": IPv4Network("10.96.1.0/24")}, "pods .* overlaps that of services"),
        ({"machine_network": IPv4Network("10.244.7.0/24")}, "machines .* overlaps that of pods"),
        ({"machine_network": IPv4Network("192.168.56.0/25")}, "too small"),
        ({"pod_network": IPv4Network("10.244.0.0/23")}, "has no /24 for each of 3 nodes"),
        ({"pod_network": IPv4Network("10.244.0.0/25")}, "has no /24"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(errors.ConfigError, match=said) as caught:
        spec.plan(**wrong)  # type: ignore[arg-type]
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "fd00::/8", "ten"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(errors.ConfigError, match="is not an IPv4 network"):
        spec.parse_network(text)


def test_a_network() -> None:
    assert spec.parse_network("10.0.0.0/8") == IPv4Network("10.0.0.0/8")


def test_where_the_nodes_are_reached_from_here_this_machine_is_the_client() -> None:
    lab = spec.plan(provider="vagrant", clients=3)
    assert [node.name for node in lab.machines] == ["control", "node1", "node2"]
    assert [(node.name, node.is_here) for node in lab.nodes][-1] == ("client", True)
    assert lab.node("client").address == lab.learner_address
    assert spec.from_json(lab.to_json()) == lab


def test_hosts_are_the_nodes_of_the_lab() -> None:
    hosts = (
        spec.HostSpec("a", "192.0.2.11"),
        spec.HostSpec("b", "192.0.2.10", "control-plane", 2222, "debian", "/k"),
    )
    lab = spec.plan(provider="ssh", hosts=hosts, clients=0)
    assert [(node.name, str(node.address)) for node in lab.nodes] == [
        ("b", "192.0.2.10"),
        ("a", "192.0.2.11"),
    ]
    assert spec.from_json(lab.to_json()) == lab


@pytest.mark.parametrize(
    ("name", "address", "why"),
    [
        ("a", "192.0.2.2", "two hosts have the name a"),
        ("b", "192.0.2.1", "two hosts have the address 192.0.2.1"),
        ("b", "b.example", "hosts.address of b is 'b.example'"),
    ],
)
def test_hosts_that_cannot_be(name: str, address: str, why: str) -> None:
    first = spec.HostSpec("a", "192.0.2.1", "control-plane")
    with pytest.raises(errors.ConfigError, match=why):
        spec.plan(provider="ssh", hosts=(first, spec.HostSpec(name, address)))
