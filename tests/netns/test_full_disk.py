"""`up` on a disk that has no room for all of a lab: it says so, and goes on once there is some.

The lab's state lies on a tiny file system in a mount namespace of its own, so that nothing of it
is seen outside, and every byte of it counts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.netns import traces
from tests.netns.command import Shell

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

PLENTY_KB = 100 * 1024
UP = ("up", "--workers", "1", "--no-example")
#: An API server that cannot write is given time, in case that somebody makes room: no more here.
STUCK_UP = (*UP, "--timeout", "10s")
#: $1 is where to mount it, $2 how large it is. It lasts as long as somebody holds our stdin open.
MOUNT = 'mount -t tmpfs -o size=$2k,mode=700 tmpfs "$1" && echo mounted && exec cat'


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system of its own for the state of one learner's labs."""

    shell: Shell
    keeper: int

    @property
    def root(self) -> Path:
        """What is on it, seen from outside."""
        return Path(f"/proc/{self.keeper}/root{self.shell.home}/STATE_HOME")

    def resize(self, kilobytes: int) -> None:
        mount = ["mount", "-o", f"remount,size={kilobytes}k", str(self.shell.home / "STATE_HOME")]
        subprocess.run([*self.shell.prefix, *mount], check=True)

    def fill(self) -> Path:
        """Write until nothing more fits."""
        filler = self.root / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        return filler

    @property
    def used_kb(self) -> int:
        found = os.statvfs(self.root)
        return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024

    def processes(self) -> set[int]:
        return set(traces.pids(self.shell.home)) - {self.keeper}


@contextlib.contextmanager
def disk(home: Path, kilobytes: int) -> Iterator[Disk]:
    """As root, or as an ordinary user who becomes root of a user namespace for it."""
    root = os.geteuid() == 0
    user = () if root else ("--user", "--map-root-user", "--map-auto")
    argv = ["unshare", *user, "--mount", "sh", "-c", MOUNT, "sh", str(home / "STATE_HOME")]
    with subprocess.Popen(
        [*argv, str(kilobytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as keeper:
        assert keeper.stdin
        assert keeper.stdout
        assert keeper.stdout.readline() == "mounted\n"
        enter = ("nsenter", f"--target={keeper.pid}", "--mount", f"--wd={home}")
        join = () if root else ("--user", "--preserve-credentials")
        made = Disk(Shell(home, home, (*enter, *join)), keeper.pid)
        try:
            yield made
        finally:
            made.shell.labkit("down", "--purge", "--yes")
            keeper.stdin.close()


@pytest.fixture
def roomy(home: Path) -> Iterator[Disk]:
    with disk(home, PLENTY_KB) as made:
        yield made


@pytest.fixture(scope="module")
def takes() -> int:
    """How many kilobytes a lab takes."""
    home = Path(tempfile.mkdtemp(prefix="lk"))
    for name in ("STATE_HOME", "RUNTIME_DIR"):
        (home / name).mkdir(mode=0o700)
    with disk(home, PLENTY_KB) as made:
        assert made.shell.labkit(*UP).status == 0
        found = made.used_kb
    shutil.rmtree(home)
    return found


#: How much of what a lab takes there is room for, and so where `up` gets stuck.
SHARES = {
    "the lab's keys": 0.002,
    "its certificates": 0.01,
    "the first machine's files": 0.04,
    "the last machine's files": 0.13,
    "the first program": 0.25,
    "the last program": 0.6,
    "what the API server writes": 0.97,
}


@pytest.mark.parametrize("what", SHARES)
def test_it_is_said_and_the_next_up_goes_on(roomy: Disk, takes: int, what: str) -> None:
    shell = roomy.shell
    roomy.resize(max(4, int(takes * SHARES[what])))

    done = shell.labkit(*STUCK_UP)
    done.refused(1, "LK-DISK-FULL", str(shell.home), "try: free some")

    roomy.resize(PLENTY_KB)
    again = shell.labkit(*UP)
    assert again.status == 0, again.stderr
    assert shell.labkit("status").status == 0
    assert shell.labkit("down", "--purge", "--yes").status == 0
    assert list(roomy.root.rglob("*")) == []
    assert roomy.processes() == set()


def test_a_full_disk_is_no_hindrance_to_looking_and_ending(roomy: Disk) -> None:
    shell = roomy.shell
    assert shell.labkit(*UP).status == 0
    filler = roomy.fill()
    for line in (("status",), ("get", "nodes"), ("exec", "node1", "--", "hostname"), UP):
        done = shell.labkit(*line)
        assert done.status == 0, done.stderr
    down = shell.labkit("down")
    assert down.status == 0, down.stderr
    assert roomy.processes() == set()
    assert shell.labkit("down", "--purge", "--yes").status == 0
    assert [path for path in roomy.root.rglob("*") if path != filler] == []
