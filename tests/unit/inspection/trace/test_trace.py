"""From what three nodes told of one real request to its story; and where a failed one ended."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from labkit import errors
from labkit.display import lanes
from labkit.inspection import answers, collect, sockets
from labkit.inspection.probe import shot
from labkit.inspection.trace import arming, events, joining, listening, report, verdict
from labkit.model import proxying
from tests.unit.inspection import recorded

#: client asked node2's nodePort, whose proxy chose a pod on node1: recorded on a lab.
RECORDED = json.loads(Path("tests/cases/inspection/trace-node-port.json").read_text())
PLANNED = shot.Shot(**RECORDED["planned"])
ANSWER = answers.Answer(**RECORDED["answer"])
TOLD = [
    joining.Told(
        one["node"],
        tuple((when, line) for when, line in one["heard"]),
        tuple(one["journal"]),
        tuple(one["conntrack"]),
    )
    for one in RECORDED["told"]
]


def story(told: list[joining.Told] = TOLD, answer: answers.Answer = ANSWER) -> joining.Story:
    return joining.join(PLANNED, RECORDED["sentAt"], told, answer)


def changed(**fields: Any) -> list[joining.Told]:
    """The same, with another record in the journal of node2."""
    return [
        dataclasses.replace(one, journal=tuple({**record, **fields} for record in one.journal))
        for one in TOLD
    ]


def test_the_hops_follow_one_another_through_the_proxy() -> None:
    places = [hop.where for hop in story().hops]
    assert list(dict.fromkeys(places)) == [
        "client",
        "node2",
        "kube-proxy on node2",
        "node1",
        f"pod {ANSWER.pod}",
    ]
    assert (places[0], places[-1]) == ("client", "client")
    onward = [hop for hop in story().hops if "proxy's first packet" in hop.what]
    assert [hop.where for hop in onward] == ["node2", "node1"], (
        "out of the proxy's node, into the pod's"
    )


def test_a_cause_is_no_later_than_what_it_brought_about() -> None:
    """A kernel is heard late: here three seconds, long after the proxy had carried all."""
    late = [
        dataclasses.replace(one, heard=tuple((when + 3, line) for when, line in one.heard))
        for one in TOLD
    ]
    for told in (TOLD, late):
        times = [hop.ms for hop in story(told).hops if hop.ms is not None]
        assert times == sorted(times)
        assert times[:2] == [0.0, 0.0]
    assert [hop.what for hop in story(late).hops] == [hop.what for hop in story().hops]


def test_the_rules_are_told_as_text_and_in_words() -> None:
    steps = [step for hop in story().hops for step in hop.steps]
    caught = [step for step in steps if step.chain == "KUBE-NODEPORT-CONTAINER"]
    assert [step.verdict for step in caught] == ["ACCEPT"]
    assert "--dport 30062" in caught[0].rule
    assert "REDIRECT" in caught[0].words
    assert not any("TRACE" in step.rule for step in steps), "our own rules are not the subject"


def test_the_translation_is_told_before_and_after() -> None:
    [first] = [hop for hop in story().hops if hop.what.startswith("the first packet")]
    assert f"-> {PLANNED.dialled}; changed to" in first.what
    [conntrack] = story().translations
    assert conntrack.startswith("node2: tcp")
    assert f"sport={PLANNED.source_port}" in conntrack


def test_other_packets_and_other_records_are_left_out() -> None:
    strange = {**TOLD[1].journal[0], "client": "192.168.56.100:1"} if TOLD[1].journal else {}
    noisy = [
        dataclasses.replace(one, journal=(strange, *one.journal) if strange else one.journal)
        for one in TOLD
    ]
    assert story(noisy) == story()
    assert not any("DPORT=9" in hop.what or ":9" in hop.what.split()[-1:] for hop in story().hops)


PACKET = "PACKET: 2 aa IN=eth0 SRC=10.0.0.1 DST=10.0.0.2 SPORT=20000 DPORT={port} SYN "
RAW = " TRACE: 2 {id} raw:PREROUTING:policy:ACCEPT "


def test_a_number_that_is_used_again_is_another_packet() -> None:
    lines = [
        PACKET.format(port=80),
        RAW.format(id="aa"),
        " TRACE: 2 aa nat:PREROUTING:policy:ACCEPT ",
        PACKET.format(port=80),
        RAW.format(id="aa"),
    ]
    found = events.parse_passages("node1", [(float(at), line) for at, line in enumerate(lines)])
    assert [one.when for one in found] == [1.0, 4.0]


def test_a_packet_that_gets_another_number_goes_on() -> None:
    lines = [
        PACKET.format(port=80),
        RAW.format(id="aa"),
        PACKET.format(port=40000).replace(" aa ", " bb "),
        " TRACE: 2 bb filter:INPUT:policy:DROP ",
    ]
    [found] = events.parse_passages("node1", [(0.0, line) for line in lines])
    assert [looks.port for looks in found.looks] == [80, 40000]
    assert found.judged[-1].verdict == "DROP"


def test_lines_of_another_kind_are_left_out() -> None:
    assert events.parse_passages("node1", [(0.0, "xtables-monitor: what?"), (0.0, "")]) == ()


def test_the_rules_match_the_request_alone_and_once_each_way() -> None:
    planned = dataclasses.replace(PLANNED, source_port=20001, address="10.96.0.9", port=80)
    rules = arming.plan_rules(planned, [proxying.Endpoint("10.244.1.2", 8080)], [40000, 40000])
    assert all(rule.endswith("-j TRACE") for rule in rules)
    assert all("--syn" in rule or "--tcp-flags SYN,ACK SYN,ACK" in rule for rule in rules)
    for rule in rules:
        own = "20001" in rule
        second = "10.244.1.2/32" in rule and "8080" in rule
        assert own or second, rule
    assert sum("40000" in rule for rule in rules) == 1


def test_datagrams_have_no_flags() -> None:
    planned = dataclasses.replace(PLANNED, protocol="UDP", source_port=20001)
    rules = arming.plan_rules(planned, [], [])
    assert rules
    assert not any("syn" in rule.lower() for rule in rules)


# --- where it ended ------------------------------------------------------------------------------

FAILED = answers.Answer(error="curl: (28) Operation timed out")
NOBODY = [collect.NodeState(recorded.LAB.node(name)) for name in ("node1", "node2")]


def ended(told: list[joining.Told], states: list[collect.NodeState] = NOBODY) -> verdict.Verdict:
    objects = collect.Objects(recorded.service(), recorded.endpoints([]), recorded.PODS[:1])
    return verdict.judge(verdict.Case(PLANNED, story(told, FAILED), states, objects, FAILED.error))


def silent(*, without: str = "", tracked: str = "") -> list[joining.Told]:
    """No proxy knows of the request, and no line that contains `without` was heard."""
    return [
        dataclasses.replace(
            one,
            journal=(),
            heard=tuple(each for each in one.heard if not without or without not in each[1]),
            conntrack=(tracked,) if tracked else one.conntrack,
        )
        for one in TOLD
    ]


def test_no_node_saw_it() -> None:
    found = ended([joining.Told("node1"), joining.Told("node2")])
    assert (found.at, "no node of the cluster saw" in found.cause) == ("client", True)


def test_no_rule_caught_it() -> None:
    found = ended(silent(without="KUBE-NODEPORT-CONTAINER"))
    assert found.at == "node2"
    assert found.cause == (
        "no rule led it to a proxy: "
        "none of kube-proxy's chains exists: kube-proxy has not been running here"
    )
    [unread] = ended(silent(without="KUBE-NODEPORT-CONTAINER"), []).cause.splitlines()
    assert unread.endswith("is it an address of this Service, and of this node?")


def test_another_rule_let_it_pass_before() -> None:
    rule = "-A PREROUTING -j ACCEPT"
    line = "PACKET: 2 dd IN=eth0 SRC=192.168.56.100 DST=192.168.56.12 SPORT={} DPORT=30062 SYN "
    heard = (
        (0.0, line.format(PLANNED.source_port)),
        (0.0, RAW.format(id="dd")),
        (0.0, f" TRACE: 2 dd nat:PREROUTING:rule:0x3:ACCEPT  -4 -t nat {rule}"),
    )
    found = ended([joining.Told("node2", heard)])
    assert found.cause == (
        f"in table nat, chain PREROUTING, this came first and let it pass: {rule}"
    )


def test_nobody_listens_where_the_rule_leads() -> None:
    assert "nobody listens there" in ended(silent()).cause


def test_somebody_listens_and_does_not_take_it() -> None:
    port = int(str(TOLD[2].heard).partition("--to-ports ")[2].split('"')[0].split("'")[0])
    listener = sockets.Socket("tcp", "*", port, "python3", 7, "/usr/bin/python3 kube-proxy.pyz")
    states = [collect.NodeState(recorded.LAB.node("node2"), sockets=(listener,))]
    found = ended(silent(), states)
    assert found.at == f"port {port} on node2"
    assert "does it hang?" in found.cause
    for state, cause in (("SYN_SENT", "has it a route back to"), ("SYN_RECV", "was lost on")):
        found = ended(silent(tracked=f"tcp 6 119 {state} src=192.168.56.100"), states)
        assert (found.at, cause in found.cause) == ("node2", True)


def test_a_rule_refused_it() -> None:
    line = "PACKET: 2 dd IN=eth0 SRC=192.168.56.100 DST=192.168.56.12 SPORT={} DPORT=30062 SYN "
    heard = (
        (0.0, line.format(PLANNED.source_port)),
        (0.0, RAW.format(id="dd")),
        (0.0, " TRACE: 2 dd filter:INPUT:rule:0x3:DROP  -4 -t filter -A INPUT -i eth0 -j DROP"),
    )
    found = ended([joining.Told("node2", heard)])
    assert found == verdict.Verdict(
        "node2", "in table filter, chain INPUT, this refused it: -A INPUT -i eth0 -j DROP"
    )


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        (
            {"outcome": "no endpoints", "source": None},
            "has no endpoints. Pod app1-a is ready, but is no endpoint",
        ),
        (
            {
                "outcome": "dial failed",
                "source": None,
                "failedDials": [{"endpoint": "10.244.1.9:81", "why": "Connection refused"}],
            },
            "10.244.1.9:81: Connection refused): is targetPort right",
        ),
        (
            {
                "outcome": "dial failed",
                "source": None,
                "failedDials": [{"endpoint": "10.244.1.9:81", "why": "No route to host"}],
            },
            "has node2 a way to them, and have they one back?",
        ),
        ({"outcome": None, "source": None}, "still dials"),
        ({"outcome": "client closed"}, "took the connection and did not answer"),
    ],
)
def test_what_the_journal_says(record: dict[str, Any], cause: str) -> None:
    assert cause in ended(changed(**record)).cause


# --- how it is shown -----------------------------------------------------------------------------


def a_trace(failed: verdict.Verdict | None = None) -> report.Trace:
    told = story()
    return report.Trace(
        "default/app1",
        "client",
        PLANNED.dialled,
        "TCP",
        "curl",
        told.hops,
        told.translations,
        failed,
    )


def test_text_drawing_and_JSON_carry_the_same_hops() -> None:
    found = a_trace()
    text, page = " ".join(repr(found).split()), found._repr_html_()
    assert found.ok
    drawn = ET.fromstring(found.draw())
    [told] = [each.text or "" for each in drawn.iter("desc")]
    for hop, as_json in zip(found.hops, found.to_json()["hops"], strict=True):
        assert hop.what in text
        assert hop.what in told
        assert as_json["what"] == hop.what
    assert "<svg" in page
    marks = [int(each.get("data-mark", "")) for each in drawn.iter("g") if each.get("data-mark")]
    assert marks == list(range(len(found.hops)))


def test_where_it_ended_is_said_first() -> None:
    text = repr(a_trace(verdict.Verdict("node2", "nobody listens")))
    assert "It ended at node2." in text
    assert text.index("It ended") < text.index("The way")
    assert "Likely because nobody listens." in text
    assert "does it hang?\n" in repr(a_trace(verdict.Verdict("node2", "does it hang?")))


def test_lanes_escape_what_they_show() -> None:
    assert "<b>" not in lanes.render([("a<b>", "x<b>")], title="<b>")


def test_a_node_that_told_nothing_is_a_problem() -> None:
    gone = json.dumps({"trouble": "xtables-monitor: command not found"})
    assert listening.parse_told("node1", gone, 1, 2).trouble == "xtables-monitor: command not found"
    told = {"now": 1.5, "heard": [], "journal": "refused", "conntrack": []}
    quiet = listening.parse_told("node1", json.dumps(told), 1, 2)
    assert quiet.trouble == "kube-proxy's journal: refused"


@pytest.mark.parametrize(("now", "ahead_s"), [(10.5, 0.0), (14.0, 4.0), (7.0, -3.0)])
def test_clocks_that_differ_are_seen(now: float, ahead_s: float) -> None:
    told = json.dumps({"now": now, "heard": [], "journal": [], "conntrack": []})
    assert listening.parse_told("node1", told, 10.0, 11.0).ahead_s == ahead_s


def test_clocks_that_differ_change_nothing_in_the_story() -> None:
    ahead = dataclasses.replace(
        next(one for one in TOLD if one.node == "node1"),
        heard=tuple((when + 60, line) for when, line in TOLD[1].heard),
        ahead_s=60.0,
    )
    assert ahead.node == TOLD[1].node
    assert story([TOLD[0], ahead, *TOLD[2:]]).hops == story().hops
    proxy = changed(time="2026-11-29T08:00:00Z")
    late = changed(time="2026-11-29T08:01:00Z")
    late = [dataclasses.replace(one, ahead_s=60.0) if one.journal else one for one in late]
    late = [
        dataclasses.replace(
            one, heard=tuple((when + one.ahead_s, line) for when, line in one.heard)
        )
        for one in late
    ]
    assert story(late).hops == story(proxy).hops


class Node:
    """A node on which the script says what it is told to, or cannot even be begun."""

    name = "node1"

    def __init__(self, *lines: str, fails: str = "") -> None:
        self._lines, self._fails = lines, fails
        self.said: list[str] = []
        self.ended = False

    @contextlib.contextmanager
    def stream(self, argv: Sequence[str]) -> Iterator[Node]:
        if self._fails:
            raise errors.ConnectionFailed(self._fails, node="node1")
        yield self
        self.ended = True

    def lines(self) -> Iterator[str]:
        return iter(self._lines)

    def say(self, line: str) -> None:
        self.said.append(line)

    def end(self) -> None:
        raise AssertionError


def test_a_listener_is_begun_asked_and_ended() -> None:
    answer = {"now": time.time(), "heard": [], "journal": [], "conntrack": ["tcp"]}
    node = Node('{"listening": true}', json.dumps(answer))
    listener = listening.Listener(node, "abc", [])
    listener.ask(20001, "TCP")
    told = listener.told()
    assert (told.node, told.conntrack, told.trouble) == ("node1", ("tcp",), "")
    assert node.said == ["20001 tcp"]
    listener.close()
    assert node.ended


@pytest.mark.parametrize(
    ("node", "trouble"),
    [
        (Node('{"trouble": "xtables-monitor: not found"}'), "xtables-monitor: not found"),
        (Node(), "it ended before it said anything"),
        (Node(fails="no route"), "no route"),
    ],
)
def test_a_node_that_cannot_listen_says_why(node: Node, trouble: str) -> None:
    listener = listening.Listener(node, "abc", [])
    listener.ask(20001, "TCP")
    assert listener.told() == joining.Told("node1", trouble=trouble)
    assert node.said == []
    listener.close()
