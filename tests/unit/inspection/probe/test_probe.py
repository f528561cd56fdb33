"""What is sent, what came back, and what moved: from recorded text."""

from __future__ import annotations

import json
import shlex

import pytest

from labkit import errors
from labkit.inspection import answers, collect, proof
from labkit.inspection.predict import asking
from labkit.inspection.probe import report, sending, shot
from labkit.model import commands
from tests.unit.inspection import recorded

SERVICE = recorded.service(externalIPs=["192.168.56.77"])
OBJECTS = collect.Objects(SERVICE, None, recorded.PODS)
BEFORE, AFTER = (
    (
        recorded.state("node1", f"app1-node1-{when}"),
        collect.NodeState(recorded.LAB.node("node2"), trouble="does not answer"),
    )
    for when in ("before", "after")
)
ECHO = json.dumps({"pod": "app1-a", "node": "node1", "client": {"address": "10.244.1.1"}})


def plan(sender: str = "", via: str = "cluster-ip", count: int = 1, **more: str) -> shot.Shot:
    request = asking.Request("app1", sender=sender, via=via, **more)
    return shot.plan_shot(recorded.LAB, OBJECTS, request, count)


def sent(*parts: str) -> commands.Command:
    text = "".join(f"{shot.MARK}\n{part}\n" for part in parts)
    return commands.Command(("sh",), stdout=text, node="node1")


@pytest.mark.parametrize(
    ("sender", "via", "machine", "port"),
    [
        ("", "cluster-ip", "node1", 8080),
        ("node/node2", "node-port", "node2", 30062),
        ("client", "node-port", "client", 30062),
        ("client", "", "client", 30062),
        ("", "", "node1", 8080),
        ("client", "external-ip", "client", 8080),
        ("pod/app1-a", "cluster-ip", "node1", 8080),
    ],
)
def test_who_sends_and_what_is_dialled(sender: str, via: str, machine: str, port: int) -> None:
    planned = plan(sender, via)
    assert (planned.machine, planned.port) == (machine, port)
    assert f"http://{planned.dialled}/" in planned.line
    assert ("ip netns exec default_app1-a" in planned.line) == (sender == "pod/app1-a")


@pytest.mark.parametrize("sender", ["nobody", "pod/", "node/", "client/x"])
def test_nobody_is_called_so(sender: str) -> None:
    with pytest.raises(errors.UsageError, match="nobody to send"):
        plan(sender)


def test_a_pod_that_is_not_there_cannot_send() -> None:
    with pytest.raises(errors.NothingMatched, match="no pod ghost"):
        plan("pod/ghost")


@pytest.mark.parametrize("count", [0, -1, shot.MOST + 1])
def test_so_many_are_not_sent(count: int) -> None:
    with pytest.raises(errors.UsageError, match="from 1 to"):
        plan(count=count)


def test_a_way_that_the_service_does_not_have() -> None:
    with pytest.raises(errors.NothingMatched, match="no load-balancer"):
        plan(via="load-balancer")


def test_all_requests_are_one_command() -> None:
    assert "seq 7" in shlex.join(plan(count=7).argv)


def test_answers_are_read_one_by_one() -> None:
    found = sending.parse_answers(
        sent(
            f"{ECHO}\n0.0042 10.244.1.2\n0",
            "curl: (7) Failed to connect: Connection refused\n\n0.0003 \n7",
        )
    )
    assert found[0] == answers.Answer(
        4.2, "10.244.1.2", pod="app1-a", node="node1", seen_address="10.244.1.1"
    )
    assert found[1].error == "curl: (7) Failed to connect: Connection refused"


def test_a_sender_that_could_not_begin_is_an_error() -> None:
    broken = commands.Command(("sh",), 127, stderr="sh: not found", node="node1")
    with pytest.raises(errors.CommandFailed, match="sh: not found"):
        sending.parse_answers(broken)


def test_what_moved_is_the_difference_and_nothing_else() -> None:
    moved = list(report.find_moved("default/app1", BEFORE, AFTER))
    assert moved
    assert all(one.packets > 0 and one.node == "node1" for one in moved)
    assert not list(report.find_moved("default/app1", AFTER, AFTER))


def test_both_forms_carry_the_same_facts() -> None:
    heard = (
        answers.Answer(2.0, "10.244.1.2", "app1-a", "node1", "10.244.1.1"),
        answers.Answer(4.0, "10.244.1.2", "app1-a", "node1", "10.244.1.1"),
        answers.Answer(error="curl: (28) timed out"),
    )
    owners = proof.name_addresses(recorded.LAB, recorded.PODS)
    found = report.judge(plan("pod/app1-a", count=3), heard, BEFORE, AFTER, owners)
    assert not found.ok
    assert found.problems == ("the counters of node2 could not be read: does not answer",)
    [one] = found.answered
    assert (one.requests, one.median_ms, one.seen_as) == (2, 3.0, "node1's cbr0")
    text, html, told = repr(found), found._repr_html_(), found.to_json()
    for fact in ("2 of 3", "curl: (28) timed out", "app1-a", "10.244.1.1"):
        assert fact in text
        assert fact in html
    for moved in found.moved:
        assert f"+{moved.packets}" in text
    assert (told["schema"], told["count"]) == ("labkit.dev/probe", 3)
    assert told["failed"] == [{"error": "curl: (28) timed out", "requests": 1}]
