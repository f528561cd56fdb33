"""Which rules a packet passed by, from what the kernel told of those that took it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labkit.inspection import collect
from labkit.inspection.trace import considering, events, joining
from labkit.model import ruletext
from tests.unit.inspection import recorded

RULES = """*nat
:PREROUTING ACCEPT [0:0]
:A - [0:0]
:B - [0:0]
-A PREROUTING -s 10.0.0.9/32 -j A
-A PREROUTING -j A
-A PREROUTING -p udp -j ACCEPT
-A PREROUTING -g B
-A A -d 10.96.0.7/32 -j ACCEPT
-A A -p tcp -m tcp --dport 80 -j RETURN
-A A -j DROP
-A B -m mark --mark 0x4000/0x4000 -j DROP
-A B -p tcp -j REDIRECT --to-ports 4000
-A B -j DROP
COMMIT
*filter
:INPUT DROP [0:0]
-A INPUT -m owner --uid-owner 0 -j ACCEPT
-A INPUT -p tcp -j ACCEPT
COMMIT
"""
LOOKS = events.Looks("10.0.0.1", 20000, "10.0.0.2", 80, "eth0")
PASSED = [
    ("nat", "PREROUTING", "JUMP:A", "-A PREROUTING -j A"),
    ("nat", "A", "RETURN", "-A A -p tcp -m tcp --dport 80 -j RETURN"),
    ("nat", "PREROUTING", "GOTO:B", "-A PREROUTING -g B"),
    ("nat", "B", "ACCEPT", "-A B -p tcp -j REDIRECT --to-ports 4000"),
    ("filter", "INPUT", "DROP", ""),
]


def considered(passed: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str]]:
    judged = tuple(
        events.Judged(table, chain, verdict, rule, LOOKS) for table, chain, verdict, rule in passed
    )
    story = joining.Story((), (events.Passage("node1", 0.0, (LOOKS,), judged),), None, "", (), ())
    state = collect.NodeState(recorded.LAB.node("node1"), ruletext.parse_ruleset(RULES))
    found = considering.list_considered(story, [state], "TCP")
    assert {one.machine for one in found} <= {"node1"}
    return [(one.hook, one.rule, one.refusal) for one in found]


def test_each_rule_that_was_met_once_and_in_order() -> None:
    hook = "PREROUTING"
    assert considered(PASSED) == [
        (
            hook,
            "-A PREROUTING -s 10.0.0.9/32 -j A",
            "-s 10.0.0.9/32: the packet comes from 10.0.0.1",
        ),
        (hook, "-A PREROUTING -j A", ""),
        (hook, "-A A -d 10.96.0.7/32 -j ACCEPT", "-d 10.96.0.7/32: the packet goes to 10.0.0.2"),
        (hook, "-A A -p tcp -m tcp --dport 80 -j RETURN", ""),
        (hook, "-A PREROUTING -p udp -j ACCEPT", "-p udp: the packet is tcp"),
        (hook, "-A PREROUTING -g B", ""),
        (
            hook,
            "-A B -m mark --mark 0x4000/0x4000 -j DROP",
            "-m mark --mark 0x4000/0x4000: the packet's mark is 0x0",
        ),
        (hook, "-A B -p tcp -j REDIRECT --to-ports 4000", ""),
        (
            "INPUT",
            "-A INPUT -m owner --uid-owner 0 -j ACCEPT",
            "-m owner --uid-owner 0: not to be told from the packet alone",
        ),
        (
            "INPUT",
            "-A INPUT -p tcp -j ACCEPT",
            "the kernel said no; when it was read, the rule would have said yes",
        ),
    ]


def test_a_chain_that_was_left_at_its_end_was_read_to_its_end() -> None:
    passed = [PASSED[0], ("nat", "PREROUTING", "ACCEPT", "")]
    met = [rule for _, rule, _ in considered(passed)]
    assert met[2:5] == [
        "-A A -d 10.96.0.7/32 -j ACCEPT",
        "-A A -p tcp -m tcp --dport 80 -j RETURN",
        "-A A -j DROP",
    ]
    assert met[5:] == ["-A PREROUTING -p udp -j ACCEPT", "-A PREROUTING -g B"]


def test_a_table_that_was_not_read_is_left_out() -> None:
    assert considered([("mangle", "PREROUTING", "ACCEPT", "")]) == []


CHAINS = ["PREROUTING", "A", "B", "INPUT", "GONE"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["nat", "filter"]),
            st.sampled_from(CHAINS),
            st.sampled_from(["ACCEPT", "DROP", "RETURN", "CONTINUE", "JUMP:A", "GOTO:B", "JUMP:X"]),
            st.sampled_from(
                ["", "-A gone", *(line for line in RULES.splitlines() if line[0] == "-")]
            ),
        ),
        max_size=8,
    )
)
def test_rules_may_have_changed_meanwhile(passed: list[tuple[str, str, str, str]]) -> None:
    known = {line for line in RULES.splitlines() if line.startswith("-A")}
    told = {rule for *_, rule in passed}
    assert {rule for _, rule, _ in considered(passed)} <= known | told
