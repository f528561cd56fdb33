"""The five ways into a Service, and what becomes of them, from recorded rule sets."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address

import pytest

from labkit.inspection import sockets
from labkit.inspection.predict import journey, packets
from labkit.model import ruletext
from tests.unit.inspection.predict import world

POD, NODE, CLIENT = "10.244.1.2", "192.168.56.11", "192.168.56.10"
WAYS = [
    ("KUBE-PORTALS-CONTAINER", "REDIRECT", POD, "10.96.20.1", 8080, "cbr0"),
    ("KUBE-PORTALS-HOST", "DNAT", NODE, "10.96.20.1", 8080, ""),
    ("KUBE-NODEPORT-CONTAINER", "REDIRECT", CLIENT, NODE, 30062, "eth1"),
    ("KUBE-NODEPORT-CONTAINER", "REDIRECT", POD, NODE, 30062, "cbr0"),
    ("KUBE-NODEPORT-HOST", "DNAT", NODE, NODE, 30062, ""),
]


def go(known: journey.World, packet: packets.Packet) -> tuple[journey.Journey, ...]:
    found = (journey.arriving if packet.arrives_by else journey.from_process)(
        known, "node1", packet
    )
    assert sum(one.share for one in found) == pytest.approx(1)
    return found


@pytest.mark.parametrize(("chain", "target", "source", "address", "port", "by"), WAYS)
def test_userspace(chain: str, target: str, source: str, address: str, port: int, by: str) -> None:
    found = go(world.world(), world.packet(source, address, port, by))
    assert [one.share for one in found] == [pytest.approx(1 / 3)] * 3
    for one in found:
        caught = [hop.rule for hop in one.legs[0].passage.taken if hop.rule.chain == chain]
        assert [rule.target.name for rule in caught if rule.target] == [target]
        assert one.legs[0].passage.packet.port == world.PROXY_PORT
        assert str(one.legs[1].dialled.source) in ("10.244.1.1", NODE)
        assert one.reached
    assert {one.end for one in found} == {
        f"pod 10.244.{number}.2:8080 on node{number}" for number in (1, 2, 3)
    }


@pytest.mark.parametrize(("source", "address", "port", "by"), [way[2:] for way in WAYS])
def test_iptables(source: str, address: str, port: int, by: str) -> None:
    found = go(world.world(mode="iptables"), world.packet(source, address, port, by))
    assert {one.end for one in found} == {
        f"pod 10.244.{number}.2:8080 on node{number}" for number in (1, 2, 3)
    }
    assert all(one.share == pytest.approx(1 / 3, abs=1e-6) for one in found)


def test_what_comes_from_outside_is_masqueraded() -> None:
    packet = world.packet(CLIENT, NODE, 30062, "eth1")
    for one in go(world.world(mode="iptables"), packet):
        assert any(hop.rule.chain == "KUBE-MARK-MASQ" for hop in one.hops)
        assert str(one.legs[0].passage.packet.source) in (NODE, "10.244.1.1")


def test_a_proxy_without_endpoints() -> None:
    known = world.world()
    empty = journey.World(known.machines, known.pods, {("node1", "tcp", world.PROXY_PORT): ()})
    (one,) = go(empty, world.packet(NODE, "10.96.20.1", 8080))
    assert (one.reached, one.end) == (False, "the proxy on node1 has no endpoint")


PROXY = sockets.Socket("tcp", "*", world.PROXY_PORT, "python3", 7, "python3 kube-proxy.pyz")


def listening(*found: sockets.Socket) -> journey.World:
    return dataclasses.replace(world.world(), sockets={"node1": found})


def test_a_proxy_port_where_nobody_listens_is_the_end() -> None:
    packet = world.packet(NODE, "10.96.20.1", 8080)
    (one,) = go(listening(), packet)
    assert not one.reached
    assert one.end == f"nobody listens at port {world.PROXY_PORT} on node1"
    assert len(go(listening(PROXY), packet)) == 3


def test_a_process_is_named_and_a_port_that_is_only_held_answers_nobody() -> None:
    packet = world.packet(CLIENT, NODE, 31000, "eth1")
    server = dataclasses.replace(PROXY, port=31000, process="nginx", command="nginx")
    (one,) = go(listening(server), packet)
    assert (one.reached, one.end) == (True, "nginx (pid 7) on node1 at port 31000")
    (one,) = go(listening(dataclasses.replace(PROXY, port=31000)), packet)
    assert not one.reached
    assert one.end.startswith("kube-proxy on node1 holds port 31000")


def deaf(*numbers: int, mode: str = "userspace", extra: int = 0) -> journey.World:
    """A world in which nobody listens in the pods on these nodes."""
    known = world.world(mode=mode)
    more = [(IPv4Address(f"10.244.1.{100 + n}"), 8080) for n in range(extra)]
    return dataclasses.replace(
        known,
        in_pods={IPv4Address(f"10.244.{number}.2"): () for number in numbers}
        | {address: () for address, _ in more},
        pods={**known.pods, **dict.fromkeys((address for address, _ in more), "node1")},
        proxies={key: [*ends, *more] for key, ends in known.proxies.items()},
    )


def shares(found: tuple[journey.Journey, ...]) -> dict[str, float]:
    return {one.end: one.share for one in found}


def test_US_50_a_proxy_passes_over_a_pod_in_which_nobody_listens() -> None:
    found = go(deaf(2), world.packet(NODE, "10.96.20.1", 8080))
    assert shares(found) == {
        "pod 10.244.1.2:8080 on node1": 0.5,
        "pod 10.244.3.2:8080 on node3": 0.5,
        "nobody listens at port 8080 in pod 10.244.2.2 on node2; "
        "the proxy goes on to another pod": 0.0,
    }
    assert [one.reached for one in found] == [True, True, False]


def test_US_50_a_proxy_gives_up_after_four_pods() -> None:
    """Of 6 pods 5 are deaf. There are 15 sets of 4 out of 6; 5 of them lack the one that hears."""
    found = go(deaf(1, 2, extra=3), world.packet(NODE, "10.96.20.1", 8080))
    assert shares(found)["pod 10.244.3.2:8080 on node3"] == pytest.approx(2 / 3)
    assert sum(one.reached for one in found) == 1


def test_where_nobody_listens_in_any_pod_each_is_where_it_ends() -> None:
    found = go(deaf(1, 2, 3), world.packet(NODE, "10.96.20.1", 8080))
    assert shares(found) == {
        f"nobody listens at port 8080 in pod 10.244.{n}.2 on node{n}": pytest.approx(1 / 3)
        for n in (1, 2, 3)
    }


def test_rules_choose_a_pod_without_asking_whether_it_listens() -> None:
    found = go(deaf(2, mode="iptables"), world.packet(NODE, "10.96.20.1", 8080))
    assert [one.share for one in found] == [pytest.approx(1 / 3, abs=1e-6)] * 3
    assert {one.end for one in found if not one.reached} == {
        "nobody listens at port 8080 in pod 10.244.2.2 on node2"
    }


def test_another_port_is_caught_by_no_rule_and_each_says_why() -> None:
    (one,) = go(world.world(), world.packet(POD, "10.96.20.1", 81, "cbr0"))
    assert not one.reached
    assert "which no machine here has" in one.end
    refusals = {hop.refused_by for leg in one.legs for hop in leg.passage.hops}
    assert {"-m tcp --dport 8080", "-d 10.96.0.1/32"} <= refusals


def alone(nat: str = "", filtered: str = "", policy: str = "ACCEPT") -> journey.World:
    text = (
        f"*nat\n:OUTPUT ACCEPT [0:0]\n:A - [0:0]\n:B - [0:0]\n{nat}COMMIT\n"
        f"*filter\n:OUTPUT {policy} [0:0]\n{filtered}COMMIT\n"
    )
    return journey.World({"node1": world.machine("node1", ruletext.parse_ruleset(text))})


def taken(known: journey.World) -> list[list[str]]:
    return [
        [hop.rule.spec for hop in one.hops]
        for one in journey.from_process(known, "node1", world.packet(NODE, "10.96.20.1", 80))
    ]


def test_a_jump_comes_back_and_a_goto_does_not() -> None:
    jump = "-A OUTPUT -j A\n-A OUTPUT -j ACCEPT\n-A A -j B\n-A A -j RETURN\n-A B -p tcp\n"
    assert taken(alone(jump)) == [["-j A", "-j B", "-p tcp", "-j RETURN", "-j ACCEPT"]]
    goto = jump.replace("A -j B", "A -g B")
    assert taken(alone(goto)) == [["-j A", "-g B", "-p tcp", "-j ACCEPT"]]


def test_dropped_by_a_rule_or_by_a_policy() -> None:
    packet = world.packet(NODE, "10.96.20.1", 80)
    (one,) = go(alone(filtered="-A OUTPUT -p tcp -j DROP\n"), packet)
    assert one.end == "DROP on node1 by -A OUTPUT -p tcp -j DROP"
    (one,) = go(alone(policy="DROP"), packet)
    assert one.end == "DROP on node1 by a policy"


def test_a_verdict_by_lot() -> None:
    lot = "-m statistic --mode random --probability 0.25000000000 -j DROP"
    found = go(alone(filtered=f"-A OUTPUT {lot}\n"), world.packet(NODE, "10.96.20.1", 80))
    assert [(one.share, one.end[:4]) for one in found] == [(0.75, "it l"), (0.25, "DROP")]


def test_what_cannot_be_told_is_said() -> None:
    known = alone(filtered="-A OUTPUT -m owner --uid-owner 0 -j DROP\n")
    found = journey.from_process(known, "node1", world.packet(NODE, "10.96.20.1", 80))
    assert {(one.unsure, one.end[:4]) for one in found} == {
        (("-m owner --uid-owner 0",), "DROP"),
        (("not: -m owner --uid-owner 0",), "it l"),
    }


def test_a_thousand_services_are_walked_at_once() -> None:
    lines = "".join(f"-A OUTPUT -d 10.96.1.{n % 250}/32 -p tcp -j A\n" for n in range(2000))
    (one,) = journey.from_process(alone(lines), "node1", world.packet(NODE, "10.96.20.1", 80))
    assert len(one.legs[0].passage.hops) == 2000


def test_the_text_names_every_rule() -> None:
    (one, *_) = go(world.world(), world.packet(NODE, "10.96.20.1", 8080))
    for hop in one.hops:
        assert hop.rule.text in str(one)
