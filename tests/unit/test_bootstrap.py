"""The first command of all: what it does on machines that have little. Their programs are stubs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "labkit" / "bootstrap.sh"

#: Makes an environment whose pip only says what it was asked, and whose labkit says its words.
PYTHON = """#!/bin/sh
case "$*" in
"-c import ensurepip"*) exit 0 ;;
"-c import pip") exit 0 ;;
"-m venv"*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
"-m compileall"*) echo "$*" >>"$STUBS/compiled"; exit 1 ;;
"-m pip"*)
    echo "pip $*" >>"$STUBS/ran"
    printf '#!/bin/sh\\necho "labkit $*"\\n' >"$(dirname "$0")/labkit"
    chmod +x "$(dirname "$0")/labkit" ;;
esac
"""
APT = """#!/bin/sh
echo "apt-get $*" >>"$STUBS/ran"
case "$1" in install) cp "$STUBS/python.later" "$STUBS/python3" ;; esac
"""


class Machine:
    """A clone of the project and a PATH of stubs before the real one."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        self.stubs = folder / "stubs"
        (self.clone / "labkit").mkdir(parents=True)
        self.stubs.mkdir()
        shutil.copy(SOURCE, self.clone / "labkit")
        (self.clone / "pyproject.toml").write_text("[project]\n")
        self.add("python.later", PYTHON)
        self.add("apt-get", APT)
        self.be("0")

    def add(self, name: str, text: str) -> None:
        (self.stubs / name).write_text(text)
        (self.stubs / name).chmod(0o755)

    def be(self, uid: str, sudo_status: int = 1) -> None:
        self.add("id", f"#!/bin/sh\necho {uid}\n")
        self.add("sudo", f'#!/bin/sh\n[ "$2" = true ] && exit {sudo_status}\nshift; exec "$@"\n')

    def run(self, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        script = self.clone / "labkit" / "bootstrap.sh"
        env = {
            "PATH": f"{self.stubs}:{os.environ['PATH']}",
            "HOME": str(self.clone.parent),
            "STUBS": str(self.stubs),
            "LABKIT_PYTHON": str(self.stubs / "python3"),
        }
        return subprocess.run(
            ["sh", str(script), *args],
            env=env | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def ran(self) -> list[str]:
        path = self.stubs / "ran"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_with_python_it_installs_once_and_becomes_labkit(machine: Machine) -> None:
    machine.add("python3", PYTHON)
    first = machine.run("up", "--yes", "a b")
    assert (first.returncode, first.stdout) == (0, "labkit up --yes a b\n")
    assert f'export PATH="{machine.clone}/.venv/bin:$PATH"' in first.stderr
    again = machine.run("status")
    assert (again.stdout, again.stderr) == ("labkit status\n", "")
    assert len(machine.ran) == 1
    assert machine.ran[0].endswith(f"--editable {machine.clone}")
    compiled = (machine.stubs / "compiled").read_text()
    assert compiled == f"-m compileall -q {machine.clone}/labkit\n"


def test_a_changed_pyproject_is_installed_again(machine: Machine) -> None:
    machine.add("python3", PYTHON)
    machine.run("status")
    (machine.clone / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    machine.run("status")
    assert len(machine.ran) == 2


def test_extras_hold_what_is_needed_without_them_but_not_the_reverse(machine: Machine) -> None:
    machine.add("python3", PYTHON)
    machine.run("status")
    machine.run("status", LABKIT_EXTRAS="dev")
    machine.run("status")
    machine.run("status", LABKIT_EXTRAS="dev")
    assert [line.rpartition("/")[2] for line in machine.ran] == ["clone", "clone[dev]"]


def test_without_python_root_gets_it_after_agreeing(machine: Machine) -> None:
    done = machine.run("up", "--yes")
    assert (done.returncode, done.stdout) == (0, "labkit up --yes\n")
    assert machine.ran[:2] == [
        "apt-get update",
        "apt-get install -y --no-install-recommends python3 python3-venv",
    ]


def test_sudo_that_asks_nothing_will_do(machine: Machine) -> None:
    machine.be("1000", sudo_status=0)
    assert machine.run("up", "--yes").returncode == 0
    assert machine.ran[0] == "apt-get update"


@pytest.mark.parametrize(
    ("uid", "args", "command"),
    [
        ("0", ["up"], "try: apt-get update && apt-get install -y python3 python3-venv\n"),
        ("0", ["exec", "node1", "--", "--yes"], "try: apt-get update && apt-get install"),
        ("1000", ["up", "--yes"], "try: sudo apt-get update && sudo apt-get install -y python3"),
    ],
)
def test_where_it_may_not_it_says_the_exact_command(
    machine: Machine, uid: str, args: list[str], command: str
) -> None:
    machine.be(uid)
    done = machine.run(*args)
    assert (done.returncode, done.stdout, machine.ran) == (5, "", [])
    assert command in done.stderr


def test_a_python_that_stays_too_old_is_said(machine: Machine) -> None:
    machine.add("python.later", "#!/bin/sh\nexit 1\n")
    done = machine.run("up", "--yes")
    assert done.returncode == 5
    assert "there is no Python 3.11 or newer here" in done.stderr


def test_an_environment_of_ones_own_can_be_named(machine: Machine, tmp_path: Path) -> None:
    machine.add("python3", PYTHON)
    assert machine.run("status", LABKIT_VENV=str(tmp_path / "mine")).returncode == 0
    assert (tmp_path / "mine" / "labkit.stamp").exists()
    assert not (machine.clone / ".venv").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_clone_of_somebody_else_leaves_it_alone(machine: Machine) -> None:
    machine.add("python3", PYTHON)
    machine.clone.chmod(0o555)
    try:
        assert machine.run("status").returncode == 0
    finally:
        machine.clone.chmod(0o755)
    assert (machine.clone.parent / ".local/share/labkit/venv/labkit.stamp").exists()


def test_the_lessons_bring_jupyterlab_along_and_other_verbs_do_not(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.add("python3", PYTHON)
    machine.run("up")
    machine.run("lab")
    machine.run("lab")
    machine.run("up")
    installed = [line for line in machine.ran if line.startswith("pip")]
    assert [line.endswith("[notebook]") for line in installed] == [False, True]
