"""The lab as an ordinary user: the other tests of this folder, run by somebody who is not root."""

from __future__ import annotations

import os
import pwd
import site
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.rootless]

USER = "labkit-tester"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def user() -> Iterator[pwd.struct_passwd]:
    """An ordinary user with subordinate ids, made for these tests and removed after them."""
    if os.geteuid():
        pytest.skip("run by an ordinary user: then all tests of this folder are rootless already")
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", USER], check=True)
    yield pwd.getpwnam(USER)
    subprocess.run(["userdel", "--remove", USER], check=True, capture_output=True)


def as_user(user: pwd.struct_passwd, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program with nothing of root's but the project and its packages to read."""
    packages = [str(ROOT), *site.getsitepackages()]
    environment = {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": ":".join(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", *argv],
        env=environment,
        cwd=user.pw_dir,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.timeout(320)
def test_the_provider_needs_no_root(user: pwd.struct_passwd) -> None:
    done = as_user(
        user,
        *("/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *(f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"),
        str(ROOT / "tests/netns/test_provider.py"),
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_nothing_runs_as_that_user_afterwards(user: pwd.struct_passwd) -> None:
    seen = subprocess.run(
        ["ps", "-eo", "uid=,stat=,args="], capture_output=True, text=True, check=True
    )
    left = [line for line in seen.stdout.splitlines() if line.split()[0] == str(user.pw_uid)]
    # What has ended and waits for this machine's init to take note of it is not running.
    assert [line for line in left if not line.split()[1].startswith("Z")] == []
