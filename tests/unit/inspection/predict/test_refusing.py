"""Each condition that can say no has its fact; an unknown one stands for itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labkit.inspection.predict import judging, refusing
from labkit.model import rules
from tests.unit.inspection.predict import world

PACKET = replace(world.packet("192.168.56.10", "10.96.20.1", 8080, "eth1"), mark=0x4000)
MACHINE = world.machine("node1", rules.Ruleset())


@pytest.mark.parametrize(
    ("spec", "fact"),
    [
        ("-d 10.96.20.2/32", "the packet goes to 10.96.20.1"),
        ("! -s 192.168.56.0/24", "the packet comes from 192.168.56.10"),
        ("-p udp", "the packet is tcp"),
        ("-p tcp -m tcp --dport 81", "the packet goes to port 8080"),
        ("-p tcp -m tcp --sport 53", "the packet comes from port 40000"),
        ("-i cbr0", "the packet arrives by eth1"),
        ("-o eth0", "the packet leaves by no interface"),
        ("-m mark ! --mark 0x4000/0x4000", "the packet's mark is 0x4000"),
        ("-m addrtype --dst-type LOCAL", "the packet goes to 10.96.20.1"),
        ("-m conntrack --ctstate ESTABLISHED", "the connection is NEW"),
        ("-p tcp -m tcp --tcp-flags ALL ACK", "the first packet of a connection has SYN alone"),
        ("-m recent --rcheck --name X", "the client comes for the first time"),
        ("-m physdev --physdev-is-in", "the packet arrives by eth1"),
    ],
)
def test_the_condition_and_the_fact(spec: str, fact: str) -> None:
    judged = judging.judge(rules.Rule("X", f"{spec} -j ACCEPT"), PACKET, MACHINE)
    assert judged.condition
    told = refusing.explain_refusal(judged.condition, PACKET)
    assert told == f"{judged.condition}: {fact}"


def test_what_is_not_known_stands_for_itself() -> None:
    for condition in ("-m owner --uid-owner 0", "the lot"):
        assert refusing.explain_refusal(condition, PACKET) == condition


def test_an_interface_that_nobody_has_read() -> None:
    unread = replace(PACKET, arrives_by="?")
    told = refusing.explain_refusal("-i lo", unread)
    assert told == "-i lo: the packet arrives by an interface that nobody has read"
