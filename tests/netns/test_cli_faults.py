"""What goes wrong by a person's own doing: each with its id, exit status, reason and way out.

All through the real command, in a process of its own, without a lab or with one that is down.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.model import example
from tests.netns import command, traces
from tests.netns.command import Shell

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture
def shell(home: Path, tmp_path: Path) -> Iterator[Shell]:
    """A learner without any lab. Whatever they type here, nothing of it runs afterwards."""
    yield Shell(home, tmp_path)
    assert traces.pids(home) == {}


@pytest.fixture(scope="module")
def stopped() -> Iterator[Shell]:
    """A learner whose lab was up and is down."""
    home = Path(tempfile.mkdtemp(prefix="lk"))
    (home / "RUNTIME_DIR").mkdir(mode=0o700)
    shell = Shell(home, home)
    try:
        assert shell.labkit("up", "--workers", "1", "--no-example").status == 0
        assert shell.labkit("down").status == 0
        yield shell
    finally:
        shell.labkit("down", "--purge", "--yes")
        shutil.rmtree(home)


def empty(home: Path) -> bool:
    return not [path for path in home.rglob("*") if path.parent != home]


# --- A lab that is not there ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "inspect",
        "inspect app1",
        "get pods",
        "delete pod app1-1",
        "apply -f -",
        "exec node1 -- true",
        "exec app1-1 -- true",
        "logs node1/kube-proxy",
        "ssh node1",
        "ssh-config",
        pytest.param("kubectl get pods", marks=command.needs_kubectl),
    ],
)
def test_a_lab_that_was_never_up(shell: Shell, line: str) -> None:
    done = shell.labkit(*line.split(), stdin=json.dumps(example.SERVICE))
    done.refused(4, "LK-NOTHING-MATCHED", "there is no lab lab", "try: `labkit up` makes it")
    assert empty(shell.home)


def test_there_is_nothing_to_end_and_nothing_to_list(shell: Shell) -> None:
    down = shell.labkit("down")
    assert down.status == 0
    assert "There is no such lab" in down.stdout
    assert shell.labkit("ls").stdout == ""
    assert shell.labkit("ls", "-o", "name").stdout == ""
    assert empty(shell.home)


@pytest.mark.parametrize(
    ("line", "id_", "says"),
    [
        ("get pods", "LK-CONNECTION", "the lab is not running"),
        ("inspect app1", "LK-CONNECTION", "the lab is not running"),
        ("exec node1 -- true", "LK-CONNECTION", "the lab is not running"),
        ("logs node1/podlet", "LK-CONNECTION", "the lab is not running"),
        ("ssh node1", "LK-PROVIDER", "node1: is not running"),
        pytest.param(
            *("kubectl get pods", "LK-PROVIDER", "the lab is not running"),
            marks=command.needs_kubectl,
        ),
    ],
)
def test_a_lab_that_is_down(stopped: Shell, line: str, id_: str, says: str) -> None:
    stopped.labkit(*line.split()).refused(1, id_, says, "try: `labkit up` starts it")


def test_a_lab_that_is_down_is_still_known(stopped: Shell) -> None:
    status = stopped.labkit("status", "-o", "json")
    assert (status.status, json.loads(status.stdout)["state"]) == (0, "stopped")
    assert json.loads(stopped.labkit("ls", "-o", "json").stdout)["items"][0]["state"] == "stopped"


def test_opensshs_own_client_says_in_one_line_that_the_lab_is_down(stopped: Shell) -> None:
    config = stopped.home / "ssh_config"
    config.write_text(stopped.labkit("ssh-config").stdout)
    ssh = ["ssh", "-F", str(config), "node1", "true"]
    done = subprocess.run(ssh, capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert "labkit: the lab is not running; `labkit up` starts it" in done.stderr
    assert "Traceback" not in done.stderr


# --- What was typed, and the lab file -------------------------------------------------------------


@pytest.mark.parametrize("name", ["a/b", "../a", "A", "", "a" * 29, "-a", "a b"])
def test_a_name_that_no_lab_can_have(shell: Shell, name: str) -> None:
    for line in ("up", "status", "down"):
        done = shell.labkit(line, f"--name={name}")
        done.refused(2, "LK-CONFIG", repr(name), "1 to 28 lower-case letters, digits and hyphens")
    assert empty(shell.home)


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("[nodes]\nworker = 3\n", "nodes.worker: there is no such key", "did you mean 'workers'?"),
        ('[nodes]\nworkers = "3"\n', 'nodes.workers: "3" is not', "a whole number from 1 to 80"),
        ('name = "a/b"\n', "name: 'a/b'", "1 to 28 lower-case letters"),
        ('name = "a\n', "is not TOML", "line 1"),
        ('provider = "vmware"\n', "provider: there is no 'vmware'", "known are netns"),
        ('[network]\nmachines = "10.0.0.0/33"\n', "network.machines", "write it as 10.244.0.0/16"),
        ('[network]\npods = "10.96.0.0/16"\n', "overlaps", "three networks"),
    ],
)
def test_a_lab_file_that_says_what_cannot_be(shell: Shell, text: str, says: str, hint: str) -> None:
    (shell.folder / "labkit.toml").write_text(text)
    shell.labkit("up").refused(2, "LK-CONFIG", "labkit.toml", says, hint)
    assert empty(shell.home)


@pytest.mark.parametrize(
    ("line", "id_", "says"),
    [
        ("up --workers 0", "LK-CONFIG", "a whole number from 1 to 80"),
        ("up --workers x", "LK-USAGE", "'x' is not a valid integer"),
        ("up --provider vmware", "LK-CONFIG", "known are netns"),
        ("up --timeout 5parsecs", "LK-USAGE", "30s, 500ms or 2m"),
        ("upp", "LK-USAGE", "did you mean 'up'?"),
        ("up --nonsense", "LK-USAGE", "try: `labkit up --help`"),
        ("exec node1", "LK-USAGE", "CMD"),
        ("apply -f /nowhere.yaml", "LK-USAGE", "/nowhere.yaml"),
        ("delete svc", "LK-USAGE", "which of the svc?"),
        ("get svc/app1 app1", "LK-USAGE", "give one"),
    ],
)
def test_a_line_that_makes_no_sense(shell: Shell, line: str, id_: str, says: str) -> None:
    shell.labkit(*line.split()).refused(2, id_, says)
    assert empty(shell.home)


def test_an_error_is_json_where_results_are(shell: Shell) -> None:
    done = shell.labkit("status", "-o", "json")
    assert (done.status, done.stdout) == (4, "")
    said = json.loads(done.stderr)
    assert (said["schema"], said["id"]) == ("labkit.dev/error", "LK-NOTHING-MATCHED")
    assert said["exit_status"] == 4
    events = shell.labkit("up", "--events", "json", "--workers", "0").stderr.splitlines()
    assert [json.loads(line)["id"] for line in events] == ["LK-CONFIG"]


# --- What this machine does not let us ------------------------------------------------------------


def test_no_permission_for_namespaces(shell: Shell, tmp_path: Path) -> None:
    refusing = tmp_path / "bin" / "unshare"
    refusing.parent.mkdir()
    refusing.write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    path = {"PATH": f"{refusing.parent}:{os.environ['PATH']}"}
    done = shell.labkit("up", env=path)
    done.refused(5, "LK-NOT-SUPPORTED", "unshare: Operation not permitted", "\ntry: ")
    assert traces.pids(shell.home) == {}
    doctor = shell.labkit("doctor", env=path)
    assert doctor.status == 5
    assert "No lab can run here yet" in doctor.stdout
    assert shell.labkit("down", "--purge", "--yes").status == 0
    assert empty(shell.home)


def test_down_as_json(shell: Shell) -> None:
    done = shell.labkit("down", "--purge", "--yes", "-o", "json")
    assert json.loads(done.stdout)["was_running"] is False
