"""One `up` or `down` at a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labkit import errors
from labkit.lab import lock

HOLDS = """
import sys, pathlib
from labkit.lab import lock
with lock.exclusive(pathlib.Path(sys.argv[1]), "up"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_one_is_told_who_is_at_work(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(errors.Busy, match=rf"`labkit up` \(process {other.pid}\)") as caught:
            lock._lock(folder)
        assert caught.value.exit_code == 7
        other.communicate("")
    with lock.exclusive(folder, "down"):
        pass


def test_the_kernel_lets_go_when_the_holder_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        other.stdout.readline()
        other.kill()
        other.wait()
    with lock.exclusive(tmp_path, "up"):
        assert (tmp_path / lock.NOTE).exists()
    assert not (tmp_path / lock.NOTE).exists()


def test_a_folder_that_is_purged_meanwhile_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with lock.exclusive(folder, "down"):
        shutil.rmtree(folder)
    assert not folder.exists()
    with lock.exclusive(folder, "up"):
        assert folder.exists()
