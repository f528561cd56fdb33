"""Ordinary users, made for a test and removed after it, and programs run as one of them."""

from __future__ import annotations

import contextlib
import os
import pwd
import site
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.netns.command import Done

ROOT = Path(__file__).parents[2]
(PACKAGES,) = site.getsitepackages()[:1]
#: Not the interpreter of the tests: its folder may be closed to others.
PYTHON = "/usr/bin/python3"
#: Puts what root alone may be able to reach, the project and its packages, where the user can.
LAY_OUT = """
project=$1 packages=$2; shift 2
mkdir -p project packages
mount --bind "$project" project
mount --bind "$packages" packages
exec "$@"
"""


@contextlib.contextmanager
def made(*names: str, options: Sequence[str] = ()) -> Iterator[list[pwd.struct_passwd]]:
    """Users with subordinate ids, as `useradd` makes them. Needs root."""
    if os.geteuid():
        pytest.skip("run by an ordinary user, who cannot make others")
    remove(names)  # what a run that was killed may have left
    try:
        for name in names:
            subprocess.run(
                ["useradd", "--create-home", "--shell", "/bin/bash", *options, name], check=True
            )
        yield [pwd.getpwnam(name) for name in names]
    finally:
        remove(names)


def remove(names: Sequence[str]) -> None:
    for name in names:
        subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)


def start(user: pwd.struct_passwd, *argv: str) -> subprocess.Popen[str]:
    """Start Python as the user, in a mount namespace of its own and with nothing of root's else."""
    home = Path(user.pw_dir)
    environment = {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{home / 'project'}:{home / 'packages'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.Popen(
        [
            *("unshare", "--mount", "sh", "-euc", LAY_OUT, "sh", str(ROOT), PACKAGES),
            *("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"),
            *(PYTHON, *argv),
        ],
        env=environment,
        cwd=user.pw_dir,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(user: pwd.struct_passwd, *argv: str) -> Done:
    """Run Python as the user to its end."""
    with start(user, *argv) as process:
        try:
            stdout, stderr = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Done(process.returncode, stdout, stderr)


def running(users: Sequence[pwd.struct_passwd]) -> list[str]:
    """What runs as one of them, or as one of their subordinate ids.

    What has ended and waits for this machine's init to take note of it is not running.
    """
    seen = subprocess.run(
        ["ps", "-eo", "uid=,stat=,args="], capture_output=True, text=True, check=True
    )
    ranges = [range(user.pw_uid, user.pw_uid + 1) for user in users]
    ranges += [ids for user in users for ids in subordinate_ids(user)]
    lines = [line.split(maxsplit=2) for line in seen.stdout.splitlines()]
    return [
        args
        for uid, state, args in lines
        if not state.startswith("Z") and any(int(uid) in each for each in ranges)
    ]


def subordinate_ids(user: pwd.struct_passwd) -> list[range]:
    lines = [line.split(":") for line in Path("/etc/subuid").read_text().splitlines()]
    return [
        range(int(first), int(first) + int(count))
        for owner, first, count in lines
        if owner in (user.pw_name, str(user.pw_uid))
    ]
