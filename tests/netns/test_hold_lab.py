"""A real lab: what a connection that stays open feels of flushed rules, and of a dead proxy."""

from __future__ import annotations

import pytest

from labkit import errors, lab
from labkit.inspection.predict import asking
from tests.netns import test_probe_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
FROM_OUTSIDE = asking.Request("app1", sender="client", via="node-port", node="node1")


@pytest.fixture(scope="module")
def opened(shared: lab.Lab) -> lab.Lab:
    return shared


@pytest.mark.parametrize(
    "request_", [FROM_OUTSIDE, asking.Request("app1", sender="pod/app1-1")], ids=["client", "pod"]
)
def test_one_pod_answers_all_of_it(opened: lab.Lab, request_: asking.Request) -> None:
    with opened.hold(request_) as held:
        answers = [held.ask() for _ in range(4)]
    assert len({answer.pod for answer in answers}) == 1
    assert answers[0].pod.startswith("app1-")
    assert {answer.own_address for answer in answers} == {held.source.partition(":")[0]}
    assert repr(held).startswith(held.planned.sender)


def test_flushed_rules_are_not_felt_and_a_dead_proxy_is(opened: lab.Lab) -> None:
    [node] = opened.inspect("app1", node="node1").nodes
    proxy = node.ports[0].listener
    assert proxy
    with (
        opened.events(["node1"], kinds=["rule"]) as happening,
        opened.hold(FROM_OUTSIDE) as held,
    ):
        opened.exec("node1", ["iptables", "-t", "nat", "-F"])
        assert not held.ask().error
        happening.until(lambda one: one.verb == "added" and "--dport 30062" in one.text)
        opened.exec("node1", ["kill", "-9", str(proxy.pid)])
        # The kernel closes what a dead process held, and resets it when more comes.
        assert held.ask().error
        assert held.ask().error == "the connection has ended"
        # Flushing nat left the table filter alone: this is the new process, with a new port.
        happening.until(lambda one: one.verb == "added" and one.name.startswith("filter"))
    assert opened.probe(FROM_OUTSIDE).ok


def test_nobody_there_is_an_error_that_says_what_to_do(opened: lab.Lab) -> None:
    ghost = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "ghost"},
        "spec": {"ports": [{"port": 81}], "selector": {"name": "ghost"}},
    }
    opened.apply(ghost)
    past_the_proxy = "iptables -t nat -I OUTPUT -p tcp --dport 81 -j ACCEPT"
    refused = "iptables -I OUTPUT -p tcp --dport 81 -j REJECT --reject-with tcp-reset"
    for command in (past_the_proxy, refused):
        assert opened.exec("node1", command.split()).exit_status == 0
    with pytest.raises(errors.ConnectionFailed, match="gets no connection to") as caught:
        opened.hold("ghost").__enter__()
    assert "labkit trace" in caught.value.hint
    with pytest.raises(errors.NotFound):
        opened.hold("nobody").__enter__()


def test_datagrams_hold_no_connection(opened: lab.Lab) -> None:
    opened.apply(test_probe_lab.UDP)
    with pytest.raises(errors.UsageError, match="speaks UDP, which knows no connections"):
        opened.hold("shout").__enter__()
