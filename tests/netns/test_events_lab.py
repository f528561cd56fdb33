"""A real lab: what is done to it comes out of the stream, and nothing of the stream stays."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from labkit import lab
from labkit.inspection.events import event, following
from labkit.model import example

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
AWAITED_S = 20.0


@pytest.fixture
def opened(opened: lab.Lab) -> lab.Lab:
    opened.up()
    return opened


def find(happening: following.Events, wanted: Callable[[event.Event], bool]) -> event.Event:
    """The next event that is so. What comes before it is passed over."""
    *_, last = happening.until(wanted)
    return last


def listeners(opened: lab.Lab) -> list[str]:
    """What listens on node1, by number; not the shell that this very question runs in."""
    said = opened.exec("node1", ["pgrep", "-f", "Runs on a node: tells"]).stdout.split()
    shown = [opened.exec("node1", ["cat", f"/proc/{pid}/cmdline"]).stdout for pid in said]
    return [pid for pid, line in zip(said, shown, strict=True) if line.startswith("/usr/bin/py")]


def test_rules_connections_objects_and_a_node_that_goes(opened: lab.Lab) -> None:
    with opened.events() as happening:
        opened.exec("node1", ["iptables", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP"])
        rule = find(happening, lambda one: one.kind == "rule")
        assert (rule.where, rule.verb, rule.name) == ("node1", "added", "filter INPUT")
        assert rule.details["rule"] == "-A INPUT -s 192.0.2.1/32 -j DROP"
        assert rule.details["by"] == "iptables"

        assert opened.probe("app1").ok
        said = [find(happening, lambda one: one.kind == "connection") for _ in range(3)]
        assert [one.verb for one in said] == ["began", "connected", "ended"]
        assert len({one.name for one in said}) == 1
        assert said[1].text.startswith("goes on to app1-")

        changed = copy.deepcopy(example.SERVICE)
        changed["spec"]["ports"][0]["port"] = 8081
        opened.apply(changed)
        service = find(happening, lambda one: one.kind == "service")
        assert "TCP 8081:30062 -> 8080" in service.text
        moved = find(happening, lambda one: one.kind == "rule" and one.verb == "added")
        assert "--dport 8081" in moved.text

        opened.delete("pod", "app1-1")
        find(happening, lambda one: (one.kind, one.verb) == ("pod", "removed"))

        opened.stop("node2")
        lost = find(happening, lambda one: one.kind == "source")
        assert lost.where == "node2"
        assert lost.verb == "lost"
        opened.start("node2")
        *between, found = happening.until(lambda one: (one.kind, one.where) == ("source", "node2"))
        assert found.verb == "found"
        assert not [one for one in between if (one.kind, one.where) == ("source", "node1")]
        assert listeners(opened)
    assert not listeners(opened)


def test_as_a_command_until_ctrl_c(opened: lab.Lab) -> None:
    argv = [sys.executable, "-m", "labkit.cli", "events", "--name=t", "--kind=rule", "-ojson"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stderr
        assert "listening" in run.stderr.readline()
        opened.exec("node2", ["iptables", "-t", "nat", "-F", "KUBE-PORTALS-HOST"])
        told = json.loads(run.stdout.readline())
        assert (told["schema"], told["where"], told["verb"]) == (
            "labkit.dev/event",
            "node2",
            "removed",
        )
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=AWAITED_S)
        assert run.returncode == 0
