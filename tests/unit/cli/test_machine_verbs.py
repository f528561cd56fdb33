"""exec, ssh, ssh-config, logs."""

from __future__ import annotations

import json

from labkit import errors
from labkit.model import commands
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld


def test_exec_keeps_the_two_outputs_apart(run: Run, world: FakeWorld) -> None:
    done = run("exec", "node1", "--", "ls", "-l", "--name")
    assert (done.stdout, done.stderr, done.exit_code) == ("out\n", "err\n", 0)
    assert world.lab.asked == [("exec", "node1", ("ls", "-l", "--name"), "")]


def test_exec_ends_as_the_command_ended(run: Run, world: FakeWorld) -> None:
    world.lab.output = commands.Command(("false",), 41)
    assert run("exec", "pod/app1-1", "false").exit_code == 41


def test_exec_feeds_input_only_when_told(run: Run, world: FakeWorld) -> None:
    run("exec", "node1", "cat", stdin="words")
    run("exec", "-i", "node1", "cat", stdin="words")
    assert [call[3] for call in world.lab.asked] == ["", "words"]


def test_exec_as_data(run: Run) -> None:
    data = json.loads(run("exec", "-o", "json", "node1", "true").stdout)
    assert (data["exit_status"], data["stdout"], data["node"]) == (0, "out\n", "node1")


def test_exec_wants_a_command(run: Run) -> None:
    assert run("exec", "node1").exit_code == 2


def test_ssh_is_opensshs_own(run: Run, world: FakeWorld) -> None:
    assert run("ssh", "node1").exit_code == 7
    assert world.became == ["ssh", "node1"]
    run("ssh", "node2", "--", "ls", "-l")
    assert world.became == ["ssh", "node2", "ls", "-l"]


def test_ssh_to_what_is_not_there(run: Run, world: FakeWorld) -> None:
    done = run("ssh", "node9")
    assert done.exit_code == 4
    assert "it has control, node1, node2, client" in done.stderr
    world.lab.raises = errors.ProviderError("is not running", node="node1")
    assert run("ssh", "node1").exit_code == 1
    assert not world.became


def test_ssh_config(run: Run, world: FakeWorld) -> None:
    assert run("ssh-config").stdout == "Host node1\n"
    assert run("ssh-config", "--path").stdout == f"{world.lab.paths.ssh_config}\n"


def test_logs(run: Run, world: FakeWorld) -> None:
    assert run("logs", "node1/kube-proxy", "--tail", "5").stdout == "a line\n"
    assert world.lab.asked == [("logs", "node1/kube-proxy", 5)]


def test_one_machine_starts_stops_and_starts_again(run: Run, world: FakeWorld) -> None:
    assert "node1" in run("stop", "node1").stdout
    run("start", "node1", "--timeout", "5s")
    run("restart", "node2", "--timeout", "5s")
    assert world.lab.asked == [
        ("stop", "node1"),
        ("start", "node1", 5.0),
        ("stop", "node2"),
        ("start", "node2", 5.0),
    ]


def test_snapshots(run: Run, world: FakeWorld) -> None:
    for verb in ("save", "restore", "rm"):
        assert run("snapshot", verb, "before").exit_code == 0
    assert [name for name, *_ in world.lab.asked] == ["save", "restore", "delete"]
    assert json.loads(run("snapshot", "ls", "-o", "json").stdout)["names"] == ["before"]
    assert run("snapshot", "save").exit_code == run("snapshot", "ls", "x").exit_code == 2
    world.lab.raises = errors.NotSupported("the provider netns has no snapshots")
    done = run("snapshot", "ls")
    assert (done.exit_code, "the provider netns has no snapshots" in done.stderr) == (5, True)
