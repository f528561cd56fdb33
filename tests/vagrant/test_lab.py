"""The whole lab on three virtual machines, from end to end, by the commands that a learner types.

Every step has a time limit: machines that do not boot end the test, not the day.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.vagrant.typed import Typed

pytestmark = [pytest.mark.vagrant, pytest.mark.timeout(1800)]

NODE_PORT = "http://192.168.56.11:30062/"
#: What a fault breaks must stay silent for a while; and is asked for again when it is undone.
FAULT_S = 300


def ways_that_hold(report: Any) -> int:
    """How many of the requests were caught and answered as they should be; all, or it fails."""
    proofs = report["ways"]["proofs"]
    assert not [proof for proof in proofs if proof["problem"]]
    return len(proofs)


def rules(typed: Typed, node: str) -> list[str]:
    """A node's rules, without counters and the time of asking."""
    said = typed.exec(node, "iptables-save").splitlines()
    return [line.partition(" [")[0] for line in said if not line.startswith("#")]


def boot_ids(typed: Typed) -> dict[str, str]:
    file = "/proc/sys/kernel/random/boot_id"
    names = ("control", "node1", "node2")
    return {name: typed.labkit("exec", name, "--", "cat", file) for name in names}


def test_up_brings_machines_cluster_and_all_five_ways(typed: Typed, brought_up: Any) -> None:
    states = {node["name"]: node["state"] for node in brought_up["status"]["nodes"]}
    assert {states[name] for name in ("control", "node1", "node2")} == {"running"}
    assert ways_that_hold(brought_up) >= 5
    assert not [line for line in brought_up["did"] if "removed" in line]
    assert "app1" in typed.raw("curl", "-sf", "-m", "10", NODE_PORT).stdout


def test_up_again_finds_nothing_to_do(typed: Typed) -> None:
    assert typed.up()["did"] == []


def test_inspect_sees_rules_and_counters_on_every_node(typed: Typed) -> None:
    said = typed.labkit("inspect", "app1")
    for word in ("KUBE-NODEPORT-CONTAINER", "KUBE-PORTALS-HOST", "30062", "node1", "node2"):
        assert word in said


def test_a_trace_follows_a_request_over_the_machines(typed: Typed) -> None:
    before = rules(typed, "node2")
    via = ("--from", "client", "--via", "node-port", "--node", "node2")
    hops = typed.json("trace", "app1", *via)["hops"]
    chains = {step["chain"] for hop in hops for step in hop["steps"] if hop["where"] == "node2"}
    assert {"PREROUTING", "KUBE-NODEPORT-CONTAINER"} <= chains
    assert [hop for hop in hops if hop["where"].startswith("pod app1-")]
    assert rules(typed, "node2") == before


@pytest.mark.parametrize("fault", ["missing-jump", "proxy-hung"])
def test_a_fault_breaks_what_it_says_and_is_undone(typed: Typed, fault: str) -> None:
    before = rules(typed, "node1")
    typed.labkit("fault", "inject", fault, "--node", "node1", timeout_s=FAULT_S)
    assert typed.raw("curl", "-sf", "-m", "5", NODE_PORT).returncode != 0
    told = typed.raw("labkit", "trace", "app1", "--from", "client", "--node", "node1")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "It ended at" in told.stdout
    typed.labkit("fault", "clear", timeout_s=FAULT_S)
    assert typed.raw("curl", "-sf", "-m", "10", NODE_PORT).returncode == 0
    assert rules(typed, "node1") == before


def test_a_killed_agent_comes_back(typed: Typed) -> None:
    def agent() -> str:
        return typed.labkit("exec", "node1", "--", "pgrep", "-o", "-f", "kube-proxy.pyz|agent.pyz")

    before = agent().strip()
    typed.labkit("exec", "node1", "--", "sh", "-c", f"kill -9 {before}")
    typed.up()
    assert agent().strip() != before
    assert typed.raw("curl", "-sf", "-m", "10", NODE_PORT).returncode == 0


def test_a_machine_halted_behind_our_back_is_started_again(typed: Typed) -> None:
    names = typed.raw("virsh", "list", "--name").stdout.split()
    name = next(each for each in names if each.endswith("node2"))
    assert typed.raw("virsh", "destroy", name).returncode == 0
    assert typed.raw("curl", "-sf", "-m", "10", NODE_PORT).returncode == 0
    report = typed.up()
    assert "started node2" in report["did"]
    assert "started node1" not in report["did"]
    assert ways_that_hold(report) >= 5


def test_one_machine_is_restarted_while_the_others_go_on(typed: Typed) -> None:
    boots = boot_ids(typed)
    typed.labkit("restart", "node2", timeout_s=400)
    typed.up()
    now = boot_ids(typed)
    assert {name for name in boots if boots[name] != now[name]} == {"node2"}


def test_a_snapshot_brings_back_what_was(typed: Typed) -> None:
    typed.labkit("exec", "node1", "--", "touch", "/root/before")
    typed.labkit("snapshot", "save", "mark", timeout_s=300)
    typed.labkit("exec", "node1", "--", "rm", "/root/before")
    typed.labkit("snapshot", "restore", "mark", timeout_s=400)
    typed.labkit("exec", "node1", "--", "test", "-e", "/root/before")
    assert ways_that_hold(typed.up()) >= 5


def test_the_clocks_are_right(typed: Typed) -> None:
    for node in ("control", "node1", "node2"):
        said = float(typed.labkit("exec", node, "--", "date", "+%s.%N"))
        assert abs(said - datetime.datetime.now(datetime.UTC).timestamp()) < 5
