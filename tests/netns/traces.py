"""Everything a lab could leave behind, and a look at what is there of it."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


class Traces:
    """Looks at the machine when it is made, at the lab while it runs, and at what is left."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._before = _look(home)
        self._owned: set[str] = set()
        self._looked = 0.0

    def remember(self) -> dict[int, str]:
        """Take note of the namespaces that the lab has now; return its processes."""
        mine = pids(self._home)
        self._owned |= _namespaces(mine) - _namespaces([os.getpid()])
        self._looked = time.clock_gettime(time.CLOCK_BOOTTIME)
        return mine

    def left(self) -> dict[str, list[str]]:
        """What was not there before and is there now; nothing, if all is well.

        The kernel takes a net namespace apart in its own time, after its last process has gone:
        that much is waited for. It gives the number of one that is gone to the next that somebody
        makes: a process that is younger than the last look holds another of that number, and if
        it is the lab's, it is told as a process.
        """
        assert self._owned, "the lab was never looked at while it ran"
        deadline = time.monotonic() + 10
        while True:
            now = _look(self._home)
            left = {kind: sorted(now[kind] - self._before[kind]) for kind in now}
            older = [pid for pid in _all() if _began(pid) <= self._looked]
            left["namespaces"] = sorted(self._owned & _namespaces(older))
            left = {kind: found for kind, found in left.items() if found}
            if not left or time.monotonic() > deadline:
                return left


def _look(home: Path) -> dict[str, frozenset[str]]:
    """What labs leave on the learner's own machine if they leave something."""
    return {
        "processes": frozenset(pids(home).values()),
        "mounts": frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        "links": frozenset(_lines("ip", "-br", "link")),
        "addresses": frozenset(_lines("ip", "-br", "address")),
        "routes": frozenset(_lines("ip", "route", "show", "table", "all")),
        "rules": frozenset(_lines("ip", "rule")),
        "ports": frozenset(" ".join(line.split()[:5]) for line in _lines("ss", "-Hltun")),
        "unix sockets": frozenset(
            line for line in Path("/proc/net/unix").read_text().splitlines() if str(home) in line
        ),
        "cgroups": frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("**/")),
        "files": frozenset(str(path) for path in home.glob("**/*")),
    }


def _namespaces(processes: Iterable[int]) -> set[str]:
    found = set()
    for pid in processes:
        for kind in NAMESPACES:
            with contextlib.suppress(OSError):
                found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
    return found


def pids(home: Path) -> dict[int, str]:
    """What runs in the name of a lab in `home`: its path is in the environment of all of it, or
    in that of an ancestor."""
    seen = {pid: _read(pid) for pid in _all()}
    mine = {pid for pid, (_, words) in seen.items() if str(home) in words} - {os.getpid()}
    while True:
        more = {pid for pid, (parent, _) in seen.items() if parent in mine} - mine
        if not more:
            return {pid: seen[pid][1].partition("\0\0")[0] for pid in mine}
        mine |= more


def _read(pid: int) -> tuple[int, str]:
    """The parent of a process, and its command line and environment."""
    folder = Path(f"/proc/{pid}")
    try:
        parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        words = (folder / "cmdline").read_bytes() + b"\0\0" + (folder / "environ").read_bytes()
    except OSError:
        return 0, ""
    return parent, words.decode(errors="replace")


def _began(pid: int) -> float:
    """Seconds after the machine started; never, for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _lines(*argv: str) -> list[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
