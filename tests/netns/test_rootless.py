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
(PACKAGES,) = site.getsitepackages()[:1]


@pytest.fixture(scope="module")
def user() -> Iterator[pwd.struct_passwd]:
    """An ordinary user with subordinate ids, made for these tests and removed after them."""
    if os.geteuid():
        pytest.skip("run by an ordinary user: then all tests of this folder are rootless already")
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", USER], check=True)
    yield pwd.getpwnam(USER)
    subprocess.run(["userdel", "--remove", USER], check=True, capture_output=True)


#: Puts what root alone may be able to reach, the project and its packages, where the user can.
LAY_OUT = """
project=$1 packages=$2; shift 2
mkdir -p project packages
mount --bind "$project" project
mount --bind "$packages" packages
exec "$@"
"""


def run_tests(user: pwd.struct_passwd, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as the user, in a mount namespace of its own."""
    home = Path(user.pw_dir)
    project = home / "project"
    environment = {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{project}:{home / 'packages'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [
            *("unshare", "--mount", "sh", "-euc", LAY_OUT, "sh", str(ROOT), PACKAGES),
            *("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"),
            *("/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(f"--rootdir={project}", f"--config-file={project / 'pyproject.toml'}"),
            *words,
        ],
        env=environment,
        cwd=user.pw_dir,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.timeout(320)
@pytest.mark.parametrize(
    "words",
    [
        ("project/tests/netns/test_provider.py",),
        (
            "project/tests/netns/test_up.py",
            "-k",
            "nothing or inspect or killed_node or ssh or two_labs or down_keeps",
        ),
    ],
    ids=["the provider", "the whole path"],
)
def test_no_root_is_needed(user: pwd.struct_passwd, words: tuple[str, ...]) -> None:
    done = run_tests(user, *words)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_nothing_runs_as_that_user_afterwards(user: pwd.struct_passwd) -> None:
    seen = subprocess.run(
        ["ps", "-eo", "uid=,stat=,args="], capture_output=True, text=True, check=True
    )
    left = [line for line in seen.stdout.splitlines() if line.split()[0] == str(user.pw_uid)]
    # What has ended and waits for this machine's init to take note of it is not running.
    assert [line for line in left if not line.split()[1].startswith("Z")] == []
