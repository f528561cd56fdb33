"""What the lab's verbs return: complete as text, the same as JSON, honest about what is wrong."""

from __future__ import annotations

import doctest
import json

import pytest

from labkit.lab import reports
from labkit.model import resources


def node(name: str, state: str = "running", **units: str) -> reports.NodeStatus:
    return reports.NodeStatus(name, "worker", "192.168.56.11", state, units)


LEARNER = reports.NodeStatus("client", "outside", "192.168.56.1", "running", {})


def lab(*nodes: reports.NodeStatus) -> reports.LabStatus:
    return reports.LabStatus("t", "netns", nodes)


def test_the_examples_hold() -> None:
    assert doctest.testmod(reports).failed == 0


@pytest.mark.parametrize(
    ("nodes", "state"),
    [
        ([node("a"), node("b")], "running"),
        ([node("a"), node("b", podlet="restarting")], "partly running"),
        ([node("a"), node("b", "stopped")], "partly running"),
        ([node("a", "stopped"), node("b", "absent")], "stopped"),
        ([node("a", "absent"), LEARNER], "stopped"),
        ([node("a"), LEARNER], "running"),
    ],
)
def test_a_lab_is_as_well_as_its_nodes(nodes: list[reports.NodeStatus], state: str) -> None:
    assert lab(*nodes).state == state
    assert lab(*nodes).to_json()["state"] == state
    assert f"Lab t (netns): {state}" in repr(lab(*nodes))


def test_a_node_says_what_runs_on_it() -> None:
    shown = repr(node("a", podlet="running", **{"kube-proxy": "stopped"}))
    assert "kube-proxy stopped, podlet running" in shown
    assert not node("a", podlet="stopped").healthy


def test_up_says_that_there_was_nothing_to_do() -> None:
    report = reports.UpReport(lab(node("a")), (), 0.25)
    assert not report.changed
    assert "nothing: everything was as it should be" in repr(report)
    assert report.to_json() == json.loads(json.dumps(report.to_json()))


def test_up_says_what_it_did_and_keeps_every_line_as_data() -> None:
    did = ("started node1", "started node2", "node1: copied /etc/labkit/a", "node1: started x")
    report = reports.UpReport(lab(node("a")), did, 0.25)
    assert report.to_json()["did"] == list(did)
    assert "started node1, node2" in repr(report)
    assert "node1: copied a\n" in repr(report)


@pytest.mark.parametrize(
    ("running", "purged", "says"),
    [
        (True, False, "Lab t is down (0.1 s)"),
        (False, False, "was not running"),
        (True, True, "forgotten"),
        (True, False, "goes on with the same objects"),
    ],
)
def test_down_says_what_it_ended_and_what_it_kept(running: bool, purged: bool, says: str) -> None:
    assert says in repr(reports.DownReport("t", running, purged, 0.1))


def test_down_of_a_lab_that_never_was_promises_nothing() -> None:
    said = repr(reports.DownReport("t", was_running=False, purged=False, seconds=0, existed=False))
    assert "There is no such lab" in said
    assert "kept" not in said


def test_applied_is_said_as_kubectl_says_it() -> None:
    assert repr(reports.Applied(resources.SERVICES, "app1", "created")) == "service/app1 created"


def test_a_table_without_rows_says_so_and_is_an_empty_list() -> None:
    table = reports.ObjectTable(resources.PODS, ("Name",), (), ())
    assert "no pods" in repr(table)
    assert table.to_json()["items"] == []
    assert "<table" in table._repr_html_() or "no pods" in table._repr_html_()
