"""up, down, status, ls: what is asked of the lab, what is printed where, how each ends."""

from __future__ import annotations

import dataclasses
import json

import pytest
import yaml

from labkit import errors
from labkit.cli import up
from labkit.lab import reports
from labkit.preflight.findings import Finding
from labkit.preflight.packages import PACKAGES
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld

SUMMARY = reports.LabSummary("lab", "running", 4, "netns", "/s/lab", "2026-01-01T00:00:00+00:00")


def test_up_prints_the_report_on_stdout_and_the_rest_on_stderr(run: Run, world: FakeWorld) -> None:
    done = run("up")
    assert done.exit_code == 0
    assert done.stdout.startswith("Lab lab is up (1.2 s)")
    assert "[1/1] make the machines: done" in done.stderr
    assert "labkit inspect app1" in done.stderr
    assert world.lab.asked == [("up", True, 120.0)]
    assert world.lab.closed


def test_up_hands_on_its_flags(run: Run, world: FakeWorld) -> None:
    run("up", "--no-example", "--workers", "3", "--clients", "2", "--provider", "netns")
    assert world.overrides == {"nodes.workers": 3, "nodes.clients": 2, "provider": "netns"}
    assert world.lab.asked == [("up", False, 120.0)]


def test_up_hands_on_whose_api_server_it_is(run: Run, world: FakeWorld) -> None:
    run("up", "--kubeconfig", "a/b", "--context", "c")
    said = {"control_plane.kubeconfig": "a/b", "control_plane.context": "c"}
    assert world.overrides == said


def test_down_warns_of_what_it_had_to_leave(run: Run, world: FakeWorld) -> None:
    world.lab.left = "the API server is away"
    done = run("down")
    assert done.exit_code == 3
    assert "Left on its API server: the API server is away." in done.stdout


def test_the_kubeconfig_or_where_it_is(run: Run, world: FakeWorld) -> None:
    assert run("kubeconfig").stdout == "{}\n"
    assert run("kubeconfig", "--path").stdout == f"{world.lab.paths.kubeconfig}\n"


def test_up_as_data(run: Run) -> None:
    assert json.loads(run("up", "-o", "json").stdout)["did"] == ["started node1"]
    assert yaml.safe_load(run("up", "-o", "yaml").stdout)["schema"] == "labkit.dev/up"


def test_up_tells_events_as_json_lines(run: Run) -> None:
    done = run("up", "--events", "json", "-o", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [line["state"] for line in lines] == ["started", "done"]
    assert lines[0]["schema"] == "labkit.dev/event"


def test_next_steps_name_the_lab_that_they_are_for() -> None:
    assert "labkit down --name other " in up.next_steps("other", example=True)
    assert "inspect" not in up.next_steps("lab", example=False)


def test_up_asks_before_it_installs(run: Run, world: FakeWorld) -> None:
    world.missing = PACKAGES[:2]
    world.answers = False
    done = run("up")
    assert (done.exit_code, world.lab.asked) == (5, [])
    world.answers = True
    assert run("up").exit_code == 0
    assert world.installed == PACKAGES[:2]


@pytest.mark.parametrize("provider", ["vagrant", "ssh"])
def test_up_asks_for_what_namespaces_need_only_where_it_makes_some(
    run: Run, world: FakeWorld, provider: str
) -> None:
    world.missing = PACKAGES[:1]
    world.lab.spec = dataclasses.replace(world.lab.spec, provider=provider)
    assert run("up").exit_code == 0
    assert world.installed == ()


def test_up_asks_nobody_where_nobody_is(run: Run, world: FakeWorld) -> None:
    world.missing = PACKAGES[:1]
    done = run("up")
    assert done.exit_code == 5
    assert "try: apt-get install" in done.stderr
    assert run("up", "--yes").exit_code == 0


def test_up_gives_the_machines_own_reason_for_a_failure(run: Run, world: FakeWorld) -> None:
    world.lab.raises = errors.ProviderError("the holder ended")
    world.found = (Finding("user-namespace", "blocked", "not allowed", "sysctl -w x=1"),)
    done = run("up")
    assert done.exit_code == 5
    assert "LK-NOT-SUPPORTED not allowed\nthe holder ended\ntry: sysctl -w x=1\n" in done.stderr


@pytest.mark.parametrize("kind", [errors.ProviderError, errors.TimedOut, errors.ConnectionFailed])
def test_up_says_that_the_disk_is_full(
    run: Run, world: FakeWorld, kind: type[errors.LabkitError]
) -> None:
    world.lab.raises = kind("the machine did not start", node="node1")
    world.found = (Finding("disk", "blocked", "0 MB are free for /x", "free some"),)
    done = run("up")
    assert done.exit_code == 1
    assert done.stderr.endswith(
        "LK-DISK-FULL 0 MB are free for /x\nnode1: the machine did not start\ntry: free some\n"
    )


def test_a_mistake_is_not_blamed_on_the_machine(run: Run, world: FakeWorld) -> None:
    world.lab.raises = errors.ConfigError("it cannot become that")
    world.found = (Finding("disk", "blocked", "0 MB are free for /x", "free some"),)
    assert run("up").exit_code == 2


def test_up_gives_the_failure_itself_on_a_machine_that_could(run: Run, world: FakeWorld) -> None:
    world.lab.raises = errors.ProviderError("the holder ended", node="node1")
    done = run("up")
    assert done.exit_code == 1
    assert "LK-PROVIDER node1: the holder ended" in done.stderr


def test_down_keeps_the_state(run: Run, world: FakeWorld) -> None:
    done = run("down")
    assert done.exit_code == 0
    assert world.lab.asked == [("down", False)]
    assert "Its state is kept" in done.stdout


def test_purge_is_asked_for(run: Run, world: FakeWorld) -> None:
    for answer in (None, False):
        world.answers = answer
        done = run("down", "--purge")
        assert done.exit_code == 2
        assert "lab lab is kept: nobody agreed\ntry: --yes agrees" in done.stderr
    world.answers = True
    assert run("down", "--purge").exit_code == 0
    world.answers = None
    assert run("down", "--purge", "--yes").exit_code == 0
    assert world.lab.asked == [("down", True), ("down", True)]


@pytest.mark.parametrize(("unit", "code"), [("running", 0), ("failed", 3)])
def test_status_warns_of_what_does_not_run(
    run: Run, world: FakeWorld, unit: str, code: int
) -> None:
    world.lab.unit = unit
    done = run("status")
    assert done.exit_code == code
    assert f"kube-proxy {unit}" in done.stdout


def test_status_by_name(run: Run) -> None:
    assert run("status", "-o", "name").stdout == "node1\n"
    assert json.loads(run("status", "-o", "json").stdout)["schema"] == "labkit.dev/lab-status"


def test_ls(run: Run, world: FakeWorld) -> None:
    world.labs = (SUMMARY,)
    assert run("ls").stdout.splitlines()[0].split() == [
        *("NAME", "STATE", "NODES", "PROVIDER", "SINCE", "PATH")
    ]
    assert run("ls", "-o", "name").stdout == "lab\n"
    assert json.loads(run("ls", "-o", "json").stdout)["items"] == [SUMMARY.to_json()]
    assert run("ls", "--name", "other", "-o", "name").stdout == ""


def test_ls_of_nothing_is_data_too(run: Run) -> None:
    done = run("ls")
    assert (done.stdout, done.exit_code) == ("", 0)
    assert "there is no lab" in done.stderr
    assert json.loads(run("ls", "-o", "json").stdout)["items"] == []
