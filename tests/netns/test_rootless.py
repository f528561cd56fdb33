"""The lab as an ordinary user: the other tests of this folder, run by somebody who is not root."""

from __future__ import annotations

import pwd
from collections.abc import Iterator

import pytest

from tests.netns import users

pytestmark = [pytest.mark.lab, pytest.mark.rootless]


@pytest.fixture(scope="module")
def user() -> Iterator[pwd.struct_passwd]:
    """An ordinary user with subordinate ids, made for these tests and removed after them."""
    with users.made("labkit-tester") as made:
        yield made[0]


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
        ("project/tests/netns/test_full_disk.py", "-k", "program or hindrance"),
        ("project/tests/netns/test_faults.py", "-k", "[missing-jump] or full] or certificate"),
        ("project/tests/netns/test_trace_lab.py", "-k", "followed or killed or missing-jump"),
        ("project/tests/netns/test_events_lab.py", "-k", "rules"),
    ],
    ids=["the provider", "the whole path", "a full disk", "faults", "traces", "events"],
)
def test_no_root_is_needed(user: pwd.struct_passwd, words: tuple[str, ...]) -> None:
    # Below the home that goes with the user: what an earlier user of this name left in /tmp is not
    # ours, and pytest refuses to work there.
    pytest_ = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp=scratch")
    project = ("--rootdir=project", "--config-file=project/pyproject.toml")
    done = users.run(user, *pytest_, *project, *words)
    assert done.status == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_nothing_runs_as_that_user_afterwards(user: pwd.struct_passwd) -> None:
    assert users.running([user]) == []


def test_a_user_without_subordinate_ids_is_told_how_to_get_them() -> None:
    none = ("-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0")
    with users.made("labkit-bare", options=none) as (bare,):
        assert users.subordinate_ids(bare) == []
        up = users.run(bare, "-m", "labkit.cli", "up")
        up.refused(5, "LK-NOT-SUPPORTED", "labkit-bare has no 65536 ids in /etc/subuid")
        assert "try: sudo usermod --add-subuids" in up.stderr
        doctor = users.run(bare, "-m", "labkit.cli", "doctor")
        assert doctor.status == 5
        assert "sudo usermod --add-subuids" in doctor.stdout
        assert users.running([bare]) == []
