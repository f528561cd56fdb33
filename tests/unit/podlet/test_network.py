"""Addresses, the lines for `ip`, and the routes to the neighbours."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.podlet import network, routes

NET = IPv4Network("10.244.1.0/24")
SMALL = IPv4Network("10.244.1.0/29")


def address(last: int) -> IPv4Address:
    return IPv4Address(f"10.244.1.{last}")


def test_pods_come_after_the_bridge() -> None:
    assert network.gateway_of(NET) == address(1)
    assert network.allocate(NET, ()) == address(2)
    assert network.allocate(NET, [address(2)]) == address(3)


def test_an_address_stays_unused_for_as_long_as_possible() -> None:
    assert network.allocate(NET, (), after=address(7)) == address(8)
    assert network.allocate(NET, (), after=address(254)) == address(2)


def test_a_wish_is_granted_if_it_can_be() -> None:
    assert network.allocate(NET, (), wish=address(9)) == address(9)
    assert network.allocate(NET, [address(9)], wish=address(9)) == address(2)
    assert network.allocate(NET, (), wish=IPv4Address("10.244.2.9")) == address(2)
    assert network.allocate(NET, (), wish=address(1)) == address(2), "that is the bridge's"


@given(st.sets(st.sampled_from(list(SMALL.hosts())[1:])), st.sampled_from(list(SMALL.hosts())))
def test_every_address_is_handed_out_before_there_is_none(
    taken: set[IPv4Address], after: IPv4Address
) -> None:
    free = set(list(SMALL.hosts())[1:]) - taken
    if free:
        assert network.allocate(SMALL, taken, after=after) in free
    else:
        with pytest.raises(errors.LabkitError, match="no address is free"):
            network.allocate(SMALL, taken, after=after)


def test_the_bridge_is_made_or_mended() -> None:
    assert network.plan_bridge(NET, exists=False) == (
        "link add cbr0 address 0a:58:0a:f4:01:01 type bridge",
        "addr replace 10.244.1.1/24 dev cbr0",
        "link set cbr0 up",
    )
    mended = network.plan_bridge(NET, exists=True, wires=["lk1"])
    assert mended[0].startswith("addr replace")
    assert mended[-1] == "link set lk1 master cbr0"


def test_a_pods_wire_carries_our_mark() -> None:
    on_node, within = network.plan_pod("default_app1", "lk1", address(2), NET)
    assert on_node == (
        "netns add default_app1",
        "link add lk1 type veth peer name eth0 address 0a:58:0a:f4:01:02 netns default_app1",
        "link set lk1 alias labkit/default_app1 master cbr0 up",
    )
    assert within[-1] == "route add default via 10.244.1.1"


NODES = [
    {
        "metadata": {"name": name},
        "spec": {"podCIDR": pods},
        "status": {"addresses": [{"type": "Hostname", "address": name}, *addresses]},
    }
    for name, pods, addresses in (
        ("node1", "10.244.1.0/24", [{"type": "InternalIP", "address": "192.168.56.11"}]),
        ("node2", "10.244.2.0/24", [{"type": "InternalIP", "address": "192.168.56.12"}]),
        ("silent", "10.244.3.0/24", []),
        ("bare", "", [{"type": "InternalIP", "address": "192.168.56.14"}]),
    )
]


def test_routes_lead_to_every_other_node_that_is_known_well_enough() -> None:
    assert routes.plan_wanted(NODES, "node1") == {"10.244.2.0/24": "192.168.56.12"}


def test_only_what_differs_is_changed() -> None:
    wanted = {"10.244.2.0/24": "192.168.56.12", "10.244.3.0/24": "192.168.56.13"}
    actual = {"10.244.2.0/24": "192.168.56.12", "10.244.9.0/24": "192.168.56.19"}
    assert routes.plan_changes(wanted, wanted) == ()
    assert routes.plan_changes(wanted, actual) == (
        "route del 10.244.9.0/24 proto 76",
        "route replace 10.244.3.0/24 via 192.168.56.13 proto 76",
    )


def test_a_machine_without_a_default_route_gets_one_so_that_a_clusterIP_has_a_way() -> None:
    own, links = IPv4Address("192.168.56.11"), [{"ifname": "eth1"}]
    assert network.plan_way_out(own, [], links) == (
        "route add default dev eth1 src 192.168.56.11 metric 65535",
    )
    assert network.plan_way_out(own, [{"dst": "default", "dev": "eth0"}], links) == ()
    assert network.plan_way_out(own, [], []) == (), "the node's address is not there yet"
