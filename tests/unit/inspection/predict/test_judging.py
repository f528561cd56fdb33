"""Each condition, said yes to and no to; and what the rules alone do not tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labkit.inspection.predict import judging
from labkit.model import rules
from tests.unit.inspection.predict import world

PACKET = replace(world.packet("192.168.56.10", "10.96.20.1", 8080, "eth1"), mark=0x4000)
MACHINE = world.machine("node1", rules.Ruleset())

YES = [
    "-d 10.96.20.1/32 -p tcp -m tcp --dport 8080",
    "-s 192.168.56.0/24 -i eth+",
    "! -i cbr0 ! -o eth1",
    "-p tcp -m multiport --dports 80,8000:8100",
    "-p tcp -m tcp --sport 1024: --tcp-flags FIN,SYN,RST,ACK SYN",
    "-p tcp -m tcp --tcp-flags FIN,PSH NONE",
    "-m mark --mark 0x4000/0x4000",
    "-m addrtype --dst-type UNICAST ! --src-type LOCAL",
    "-m conntrack --ctstate NEW,RELATED",
    "-m state ! --state ESTABLISHED",
    "-m physdev ! --physdev-is-in",
    '-m comment --comment "a -p udp"',
    "-m recent --set --name X --mask 255.255.255.255 --rsource",
    "-p 6 -m statistic --mode random --probability 1.00000000000",
    "",
]
NO = [
    ("-d 10.96.20.2/32 -p udp", "-d 10.96.20.2/32"),
    ("-p udp -m udp --dport 8080", "-p udp"),
    ("-p tcp -m tcp --dport 81", "-m tcp --dport 81"),
    ("! -s 192.168.56.0/24", "! -s 192.168.56.0/24"),
    ("-m mark ! --mark 0x4000/0x4000", "-m mark ! --mark 0x4000/0x4000"),
    ("-m addrtype --dst-type LOCAL", "-m addrtype --dst-type LOCAL"),
    ("-i cbr0", "-i cbr0"),
    ("-m physdev --physdev-is-in", "-m physdev --physdev-is-in"),
    ("-m conntrack --ctstate ESTABLISHED", "-m conntrack --ctstate ESTABLISHED"),
    ("-m recent --rcheck --seconds 10 --reap --name X", "-m recent --rcheck"),
    ("-p tcp -m multiport --dports 1,2", "-m multiport --dports 1,2"),
    ("-p tcp -m tcp --tcp-flags ALL ACK", "-m tcp --tcp-flags ALL ACK"),
]


def judge(spec: str) -> judging.Judgement:
    return judging.judge(rules.Rule("X", f"{spec} -j ACCEPT"), PACKET, MACHINE)


@pytest.mark.parametrize("spec", YES)
def test_yes(spec: str) -> None:
    assert judge(spec) == judging.Judgement(1.0)


@pytest.mark.parametrize(("spec", "condition"), NO)
def test_no_and_which_condition(spec: str, condition: str) -> None:
    assert judge(spec) == judging.Judgement(0.0, condition)


@pytest.mark.parametrize(
    ("spec", "chance"),
    [
        ("-m statistic --mode random --probability 0.25000000000", 0.25),
        ("-m statistic --mode random ! --probability 0.25000000000", 0.75),
        ("-m statistic --mode nth --every 5 --packet 0", 0.2),
    ],
)
def test_by_lot(spec: str, chance: float) -> None:
    assert judge(spec).chance == chance


@pytest.mark.parametrize(
    "spec", ["-m owner --uid-owner 0", "-m socket", "-m tcp --dport http", "-m set --match-set a b"]
)
def test_not_for_the_rules_to_tell(spec: str) -> None:
    judged = judge(spec)
    assert judged.chance is None
    assert judged.condition.startswith("-m ")
