"""The script that reads a node, run here by sh with programs that only say what they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from labkit.inspection import collect

SYSTEM = ("sh", "cat", "cut", "grep", "tr", "sort", "hostname", "uname")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with nothing that reads a kernel, but what a test puts there."""
    for name in SYSTEM:
        found = next(p for p in (Path("/usr/bin", name), Path("/bin", name)) if p.exists())
        (tmp_path / name).symlink_to(found)
    put(tmp_path, "id", "echo 1000")
    put(tmp_path, "sudo", 'printf "%s\n" "$*" >>"$0.log"; shift; "$@"')
    put(tmp_path, "iptables-save", 'echo "*nat"; echo "saved $*"; echo COMMIT')
    put(tmp_path, "ss", "echo 'tcp LISTEN 0 1 *:80 *:*'")
    return tmp_path


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def look(programs: Path, wanted: str = "") -> str:
    script = collect.look_script()
    return run(programs, f"WANTED='{wanted}'\n{script}" if wanted else script)


def run(programs: Path, script: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=script,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_by_itself_it_reads_what_a_service_needs(programs: Path) -> None:
    sections, failed = collect.split_sections(look(programs))
    assert list(sections) == ["nat", "filter", "sockets", "processes"]
    assert sections["nat"] == "*nat\nsaved -c -t nat\nCOMMIT"
    assert failed == []


def test_another_user_asks_sudo_and_sudo_never_asks_back(programs: Path) -> None:
    look(programs, "rules sockets")
    asked = (programs / "sudo.log").read_text().splitlines()
    assert asked
    assert [line for line in asked if not line.startswith("-n ")] == []
    assert "-n iptables-save -c" in asked


def test_root_needs_no_sudo(programs: Path) -> None:
    put(programs, "id", "echo 0")
    assert "saved -c" in look(programs, "rules")
    assert not (programs / "sudo.log").exists()


def test_of_other_services_nothing_is_sent(programs: Path) -> None:
    golden = Path(__file__).parents[2] / "cases" / "golden" / "03-multiport" / "userspace.rules"
    (programs / "sed").symlink_to("/bin/sed")
    put(programs, "id", "echo 0")
    put(programs, "iptables-save", f"cat {golden}")
    whole = golden.read_text().splitlines()
    for service in ("default/kubernetes", "default/app", "other/one"):
        script = f"ONLY={service}\n{collect.look_script()}"
        sent = collect.split_sections(run(programs, script))[0]["nat"].splitlines()
        named = [line for line in whole if '--comment "' in line and "/" in line.split('"')[1]]
        own = [line for line in named if line.split('"')[1].split(":")[0] == service]
        assert sent == [line for line in whole if line not in named or line in own]


def test_a_pod_that_is_not_on_the_node_is_passed_over(programs: Path) -> None:
    sections, failed = collect.split_sections(run(programs, f"PODS=gone\n{collect.look_script()}"))
    assert (sections["pods"], failed) == ("", [])


def test_what_is_refused_is_said(programs: Path) -> None:
    put(programs, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
    assert collect.split_sections(look(programs, "rules"))[1] == ["rules"]


def test_nothing_on_the_node_is_ever_written() -> None:
    """No redirection into a file, no program that changes anything."""
    code = "\n".join(
        line for line in collect.look_script().splitlines() if not line.lstrip().startswith("#")
    )
    redirected = code.replace(">/dev/null", "").replace("2>/dev/null", "")
    assert ">" not in redirected.replace("2", "")
    for word in ("restore", " -A ", " -I ", " -D ", " -F ", "rm ", "tee ", "mv ", "modprobe"):
        assert word not in code
