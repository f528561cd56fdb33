"""What the machines of a lab hold in memory, by role, read from /proc.

The measure is the proportional set size: a page that n processes share counts as 1/n in each, so
that the sum over all processes is what they hold together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.lab import Lab
from labkit.providers.netns import launch

#: The first pattern that a command line holds says what the process is for.
ROLES = {
    "machine": r"/run/node\.sh ",
    "supervisors": r"/supervise\.sh ",
    "kube-apiserver": r"kube-apiserver\.pyz ",
    "kube-proxy": r"kube-proxy\.pyz ",
    "podlet": r"podlet\.pyz ",
    "sessions": r"^sshd: (?!.*\[listener\])",
    "sshd": r"sshd",
}
#: What is started inside the namespaces of its own that a pod has.
PODS = "pods"
#: The lab itself: the holder, and what waits for it.
HOLDER = "holder"


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `hostname` is its uts namespace, `kilobytes` its proportional set size."""

    pid: int
    parent: int
    argv: str
    hostname: str
    kilobytes: int


def read_lab(lab: Lab) -> dict[str, dict[str, int]]:
    """Kilobytes by machine and role; the lab's own processes under the name `holder`."""
    seen = {process.pid: process for process in _processes()}
    holder = launch.holder_pid(lab.paths.holder_socket)
    waiter = seen[seen[holder].parent]
    return {
        HOLDER: {HOLDER: seen[holder].kilobytes + waiter.kilobytes},
        **{name: _by_role(found) for name, found in _machines(seen, holder).items()},
    }


def find(lab: Lab, machine: str, pattern: str) -> Process:
    """The process on a machine whose command line holds the pattern."""
    seen = {process.pid: process for process in _processes()}
    holder = launch.holder_pid(lab.paths.holder_socket)
    processes = _machines(seen, holder)[machine]
    return next(each for each in processes if re.search(pattern, each.argv))


def _machines(seen: Mapping[int, Process], holder: int) -> dict[str, list[Process]]:
    """Each machine's processes by its name, the one that started the others first."""
    tops = {_name(each): each for each in seen.values() if each.parent == holder}
    return {name: [top, *_below(seen, top)] for name, top in tops.items()}


def at_rest(roles: Mapping[str, int]) -> int:
    """What a machine holds with no pod on it and nobody logged in."""
    return sum(size for role, size in roles.items() if role not in (PODS, "sessions"))


def _name(top: Process) -> str:
    """The machine's name, which is the last word of what starts it: node.sh NAME DISK."""
    return top.argv.split()[-1].rpartition("/")[2]


def _below(seen: Mapping[int, Process], top: Process) -> Iterator[Process]:
    for process in seen.values():
        if process.parent == top.pid:
            yield process
            yield from _below(seen, process)


def _by_role(processes: Sequence[Process]) -> dict[str, int]:
    """The first process is the machine's own: a pod has another hostname than that."""
    hostname = processes[0].hostname
    sizes: Counter[str] = Counter()
    for each in processes:
        sizes[role(each.argv) if each.hostname == hostname else PODS] += each.kilobytes
    return dict(sizes)


def role(argv: str) -> str:
    return next((name for name, words in ROLES.items() if re.search(words, argv)), "others")


def _processes() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield _read(folder)
            except OSError:  # it has ended, or is somebody else's
                continue


def _read(folder: Path) -> Process:
    stat = (folder / "stat").read_text().rpartition(")")[2].split()
    rollup = (folder / "smaps_rollup").read_text()
    size = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return Process(
        pid=int(folder.name),
        parent=int(stat[1]),
        argv=(folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
        hostname=str((folder / "ns/uts").readlink()),
        kilobytes=int(size[1]) if size else 0,
    )
