"""macOS and Windows: labkit imports, says what it offers there, and drives Vagrant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.providers import fake_vagrant

OTHER_HOST = Path(__file__).with_name("other_host.py")
FAKE_VAGRANT = Path(fake_vagrant.__file__)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["darwin", "win32"])
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(platform: str, home: Path) -> Run:
    """Type a command on that system, in a folder without a lab file; a fake `vagrant` is there."""
    tools = home / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(sys.executable)
    shutil.copy(FAKE_VAGRANT, tools / "vagrant")
    (tools / "vagrant").chmod(0o755)
    machines = {name: {"state": "not_created"} for name in ("control", "node1")}
    fails = {"up": "The provider 'virtualbox' could not be found, but was requested\n"}
    state = fake_vagrant.EMPTY | {"machines": machines, "fails": fails}
    (home / "state.json").write_text(json.dumps(state))
    environment = os.environ | {
        "PATH": str(tools),
        "FAKE_VAGRANT": str(home / "state.json"),
        "USERNAME": "ann",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    def typed(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(OTHER_HOST), platform, *args],
            cwd=home, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return typed


def test_it_imports_and_says_what_it_is(run: Run) -> None:
    asked = run("--help")
    assert (asked.returncode, "Bring the lab up" in asked.stdout) == (0, True), asked.stderr
    told = run("version", "-o", "json")
    assert (told.returncode, json.loads(told.stdout)["schema"]) == (0, "labkit.dev/version")
    assert run("ls").returncode == 0


def test_doctor_says_what_is_linux_only(run: Run, platform: str) -> None:
    done = run("doctor", "-o", "json")
    said = json.loads(done.stdout)
    system = next(each for each in said["findings"] if each["id"] == "platform")
    assert {"darwin": "this is macOS", "win32": "this is Windows"}[platform] in system["what"]
    assert "network namespaces and their holder are Linux's alone" in system["what"]
    assert said["way"] == "vagrant"
    found = next(each for each in said["findings"] if each["id"] == "vagrant-provider")
    assert (found["verdict"], done.returncode) == ("blocked", 5)
    assert "Vagrant has no provider to use here" in found["what"]


def test_without_a_word_vagrant_makes_the_machines(run: Run, home: Path) -> None:
    """As far as Vagrant itself, which has nothing to make them with: that is what is said."""
    done = run("up", "--workers", "1")
    assert done.returncode == 5, done.stderr
    assert "LK-NOT-SUPPORTED Vagrant has no provider virtualbox" in done.stderr
    called = json.loads((home / "state.json").read_text())["calls"]
    assert called == ["up control node1 --no-provision"]
    again = run("up", "--provider", "vagrant", "--workers", "1")
    assert again.returncode == 5
    assert "Vagrant has no provider virtualbox" in again.stderr


def test_namespaces_are_refused_with_what_to_do(run: Run, home: Path) -> None:
    done = run("up", "--provider", "netns")
    assert done.returncode == 5
    assert "LK-NOT-SUPPORTED network namespaces are Linux's" in done.stderr
    assert "`labkit up --provider vagrant`" in done.stderr
    assert json.loads((home / "state.json").read_text())["calls"] == []
