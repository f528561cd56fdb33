"""Everything a lab could leave behind, and a look at what is there of it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def look(home: Path) -> dict[str, frozenset[str]]:
    """Namespaces, mounts, links, sockets, cgroups and files; processes by what they run."""
    return {
        "namespaces": frozenset(_namespaces()),
        "processes": frozenset(pids(home).values()),
        "mounts": frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        "links": frozenset(_lines("ip", "-o", "link")),
        "addresses": frozenset(_lines("ip", "-br", "address")),
        "routes": frozenset(_lines("ip", "route", "show", "table", "all")),
        "rules": frozenset(_lines("ip", "rule")),
        "ports": frozenset(_lines("ss", "-Hltun")),
        "unix sockets": frozenset(_lines("ss", "-Hlx", "-e")) if home.exists() else frozenset(),
        "cgroups": frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("**/")),
        "files": frozenset(str(path) for path in home.glob("**/*")),
    }


def difference(before: dict[str, frozenset[str]], home: Path) -> dict[str, list[str]]:
    """What is there now and was not before. The kernel takes a net namespace apart in its own
    time, after its last process has gone: that much is waited for."""
    deadline = time.monotonic() + 10
    while True:
        now = look(home)
        left = {
            kind: sorted(now[kind] - before[kind]) for kind in before if now[kind] - before[kind]
        }
        if not left or time.monotonic() > deadline:
            return left


def _namespaces() -> list[str]:
    found = []
    for pid in _all():
        for kind in NAMESPACES:
            try:
                found.append(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
            except OSError:
                continue
    return found


def pids(home: Path) -> dict[int, str]:
    """What runs in the name of a lab in `home`: its path is in the environment of all of it, or
    in that of an ancestor."""
    seen = {int(pid): _read(pid) for pid in _all()}
    mine = {pid for pid, (_, words) in seen.items() if str(home) in words} - {os.getpid()}
    while True:
        more = {pid for pid, (parent, _) in seen.items() if parent in mine} - mine
        if not more:
            return {pid: seen[pid][1].partition("\0\0")[0] for pid in mine}
        mine |= more


def _read(pid: str) -> tuple[int, str]:
    """The parent of a process, and its command line and environment."""
    folder = Path("/proc", pid)
    try:
        parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        words = (folder / "cmdline").read_bytes() + b"\0\0" + (folder / "environ").read_bytes()
    except OSError:
        return 0, ""
    return parent, words.decode(errors="replace")


def _all() -> list[str]:
    return [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]


def _lines(*argv: str) -> list[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
