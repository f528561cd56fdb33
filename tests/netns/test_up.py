"""The whole path on real namespaces: up, the five ways in, faults and their repair, down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit import errors, lab
from labkit.model import events, example
from tests.netns import command, traces

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


def labkit(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labkit.cli", *argv],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def eventually(what: Callable[[], Any], *, within_s: float = 20) -> Any:
    """Ask again until the answer is true. Refusals on the way are part of it."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(errors.LabkitError):
            if found := what():
                return found
        assert time.monotonic() < deadline, f"never true: {what}"


def kill_by_pid_file(node: lab.Lab, name: str, unit: str) -> None:
    """Kill the program of a unit, not its supervisor."""
    argv = ("sh", "-c", f"kill -9 $(pgrep -x -f '/usr/bin/python3 .*{unit}.pyz .*')")
    assert node.exec(name, argv).exit_status == 0


def uid(opened: lab.Lab) -> str:
    return str(opened.get("svc", example.NAME).objects[0]["metadata"]["uid"])


def test_up_does_not_ask_what_it_has_just_seen_to(
    opened: lab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vagrant takes seconds to say which machines run."""

    def ask() -> None:
        raise AssertionError("asked for machines that were made to run just now")

    with monkeypatch.context() as patch:
        patch.setattr(opened.provider, "machines", ask)
        assert opened.up(example=False).status.state == "running"


def test_from_nothing_to_a_proxied_request(opened: lab.Lab) -> None:
    seen: list[events.Event] = []
    report = opened.up(observer=seen.append)
    assert report.changed
    assert report.status.state == "running"
    assert report.ways
    assert report.ways.ok, repr(report.ways)
    assert {(event.step, event.total) for event in seen} >= {(1, 8), (8, 8)}
    assert all(event.state != "failed" for event in seen)
    again = opened.up()
    assert again.did == ()
    assert again.ways
    assert again.ways.ok


def test_a_podlet_may_die_while_up_waits(opened: lab.Lab) -> None:
    """Its successor speaks for the node then."""
    killed: list[events.Event] = []

    def kill(event: events.Event) -> None:
        if event.step == 3 and not killed:
            killed.append(event)
            kill_by_pid_file(opened, "node1", "podlet")

    assert opened.up(observer=kill, timeout_s=30).status.state == "running"
    assert killed


def test_inspect_shows_the_four_chains_with_the_packets_of_the_requests(opened: lab.Lab) -> None:
    opened.up()
    seen = opened.inspect(example.NAME).to_json()
    chains = {
        rule["chain"]
        for node in seen["nodes"]
        for port in node["ports"]
        for rule in port["rules"]
        if rule["packets"]
    }
    assert chains >= {
        "KUBE-PORTALS-CONTAINER",
        "KUBE-PORTALS-HOST",
        "KUBE-NODEPORT-CONTAINER",
        "KUBE-NODEPORT-HOST",
    }
    assert {node["name"] for node in seen["nodes"]} == {"control", "node1", "node2"}
    one = opened.inspect(example.NAME, node="node1")
    assert "30062" in repr(one)
    assert [node["name"] for node in one.to_json()["nodes"]] == ["node1"]


def test_down_keeps_the_objects_and_purge_forgets_them(opened: lab.Lab) -> None:
    opened.up()
    before = uid(opened)
    assert opened.down().was_running
    assert opened.status().state == "stopped"
    assert not opened.down().was_running
    opened.up()
    assert uid(opened) == before
    opened.down(purge=True)
    opened.up()
    assert uid(opened) != before


def test_nothing_is_left_after_a_normal_run(home: Path) -> None:
    seen = traces.Traces(home)
    assert labkit("up", "--name", "t").returncode == 0
    assert len(seen.remember()) > 20
    assert labkit("down", "--name", "t", "--purge", "--yes").returncode == 0
    assert seen.left() == {}


def test_nothing_is_left_after_everything_was_killed(home: Path) -> None:
    seen = traces.Traces(home)
    assert labkit("up", "--name", "t").returncode == 0
    for pid in seen.remember():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    down = labkit("down", "--name", "t", "--purge", "--yes")
    assert down.returncode == 0, down.stderr
    assert seen.left() == {}


def test_a_killed_node_is_mended_without_disturbing_the_rest(opened: lab.Lab) -> None:
    opened.up()
    since = opened.exec("node1", ["stat", "-c", "%Y", "/proc/1"]).stdout
    opened.provider.stop(["node2"])
    assert opened.status().state == "partly running"
    report = opened.up()
    assert "started node2" in report.did
    assert not any("node1" in line or "control" in line for line in report.did)
    assert report.ways
    assert report.ways.ok, repr(report.ways)
    assert opened.exec("node1", ["stat", "-c", "%Y", "/proc/1"]).stdout == since


def test_a_killed_agent_comes_back_and_serves(opened: lab.Lab) -> None:
    opened.up()
    kill_by_pid_file(opened, "node1", "kube-proxy")
    url = f"http://{opened.spec.node('node1').address}:{example.NODE_PORT}/"
    argv = ["curl", "-sS", "--max-time", "5", url]
    eventually(lambda: opened.exec("client", argv).exit_status == 0)
    assert opened.up().did == ()


def test_a_killed_api_server_comes_back_with_its_objects(opened: lab.Lab) -> None:
    opened.up()
    before = uid(opened)
    kill_by_pid_file(opened, "control", "kube-apiserver")
    assert eventually(lambda: uid(opened)) == before


def test_a_killed_sshd_comes_back(opened: lab.Lab) -> None:
    opened.up(example=False)
    opened.exec("node1", ["sh", "-c", "kill -9 $(pgrep -o -x sshd)"])
    opened.close()
    eventually(lambda: opened.exec("node1", ["true"]).exit_status == 0)
    assert opened.up(example=False).did == ()


def test_two_labs_with_the_same_addresses_side_by_side(opened: lab.Lab) -> None:
    with lab.open_lab("other") as other:
        try:
            for each in (opened, other):
                report = each.up()
                assert report.ways
                assert report.ways.ok
            assert {each.name for each in lab.list_labs()} == {"t", "other"}
            assert uid(opened) != uid(other)
        finally:
            other.down(purge=True)
    assert opened.inspect(example.NAME)


@contextlib.contextmanager
def up_until(step: int) -> Iterator[subprocess.Popen[str]]:
    """`labkit up` as a process of its own, caught in the middle.

    It heeds Ctrl-C, even where the tests run in the background of a shell that does not.
    """
    heeding = ("env", "--default-signal=INT")
    with subprocess.Popen(
        [*heeding, sys.executable, "-m", "labkit.cli", "up", "--name", "t", "--events", "json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if json.loads(line)["step"] >= step:
                break
        yield process


@pytest.mark.parametrize("step", [1, 2, 5])
def test_ctrl_c_in_the_middle_leaves_a_consistent_lab(opened: lab.Lab, step: int) -> None:
    with up_until(step) as process:
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "LK-INTERRUPTED" in stderr
    report = opened.up()
    assert report.ways
    assert report.ways.ok


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_crash_in_the_middle_of_up_is_repaired_by_the_next(opened: lab.Lab, step: int) -> None:
    with up_until(step) as process:
        process.kill()
    report = opened.up()
    assert report.ways
    assert report.ways.ok


def test_a_crash_in_the_middle_of_up_is_cleaned_away_by_down(home: Path) -> None:
    seen = traces.Traces(home)
    with up_until(2) as process:
        process.kill()
    seen.remember()
    assert labkit("down", "--name", "t", "--purge", "--yes").returncode == 0
    assert seen.left() == {}


def test_up_and_down_at_the_same_time(opened: lab.Lab) -> None:
    with up_until(2) as process:
        down = labkit("down", "--name", "t")
        assert down.returncode == 7, down.stderr
        assert "LK-BUSY" in down.stderr
        assert f"process {process.pid}" in down.stderr
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_what_the_api_server_refuses_is_said_as_kubectl_says_it(
    opened: lab.Lab, tmp_path: Path
) -> None:
    opened.up()
    taken = dict(example.SERVICE, metadata={"name": "app2"})
    manifest = tmp_path / "app2.json"
    manifest.write_text(json.dumps(taken))
    refused = labkit("apply", "--name", "t", "-f", str(manifest))
    assert refused.returncode == 2, refused.stderr
    assert (
        "spec.ports[0].nodePort: Invalid value: 30062: provided port is already" in refused.stderr
    )


@command.needs_kubectl
def test_the_real_kubectl_reaches_the_lab(opened: lab.Lab, tmp_path: Path) -> None:
    opened.up()
    pods = labkit("kubectl", "--name", "t", "--", "get", "pods", "-o", "name")
    assert pods.stdout.split() == [f"pod/app1-{number}" for number in (1, 2, 3)], pods.stderr
    manifest = tmp_path / "app2.json"
    manifest.write_text(json.dumps(dict(example.SERVICE, metadata={"name": "app2"})))
    refused = labkit("kubectl", "--name", "t", "--", "apply", "-f", str(manifest))
    assert "spec.ports[0].nodePort: Invalid value: 30062: provided port is" in refused.stderr


def test_ssh_scp_exec_and_logs_reach_the_lab(opened: lab.Lab, tmp_path: Path) -> None:
    opened.up()
    config = tmp_path / "config"
    config.write_text(labkit("ssh-config", "--name", "t").stdout)
    ssh = ["ssh", "-F", str(config), "node1", "hostname"]
    assert subprocess.run(ssh, capture_output=True, text=True, check=True).stdout == "node1\n"
    (tmp_path / "note").write_text("hello")
    scp = ["scp", "-q", "-F", str(config), str(tmp_path / "note"), "node2:/root/note"]
    subprocess.run(scp, check=True)
    assert labkit("ssh", "--name", "t", "node2", "--", "cat", "/root/note").stdout == "hello"
    inside = labkit("exec", "--name", "t", "app1-1", "--", "ip", "-br", "-4", "address")
    assert "10.244." in inside.stdout, inside.stderr
    assert "app1" in labkit("logs", "--name", "t", "node1/kube-proxy").stdout
    holed = (
        "for f in /var/log/pods/default_app1-1_*/*/0.log; do truncate -s 5M $f; echo on >>$f; done"
    )
    subprocess.run([*ssh[:-1], holed], check=True)
    said = labkit("logs", "--name", "t", "app1-1").stdout
    assert said.endswith("on\n"), said
    assert "\0" not in said, "what the podlet has given up of a log is not shown"


def test_an_unknown_image_is_a_clear_event_and_not_a_hang(opened: lab.Lab) -> None:
    opened.up(example=False)
    pod = example.pod(1)
    pod["spec"]["containers"][0]["image"] = "nginx"
    opened.apply(pod)

    def events_say() -> bool:
        return any("nginx" in str(event.get("message")) for event in opened.get("events").objects)

    eventually(events_say)
    opened.delete("pod", "app1-1")


def test_a_lab_of_another_shape(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labkit.toml").write_text(
        'name = "odd"\n[nodes]\nworkers = 1\nclients = 2\n'
        '[network]\nmachines = "192.168.77.0/24"\npods = "10.8.0.0/16"\nservices = "10.9.0.0/16"\n'
        'node_ports = "30000-30999"\n'
    )
    with lab.open_lab() as odd:
        try:
            report = odd.up()
            assert [node.name for node in report.status.nodes] == [
                "control",
                "node1",
                "client",
                "client2",
            ]
            assert report.ways
            assert report.ways.ok, repr(report.ways)
            assert odd.get("svc", "kubernetes").objects[0]["spec"]["clusterIP"] == "10.9.0.1"
        finally:
            odd.down(purge=True)
