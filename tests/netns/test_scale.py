"""Ten labs at once on one machine, of one user and of ten: each answers, and none is left."""

from __future__ import annotations

import contextlib
import functools
import json
import pwd
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from labkit.model import example
from tests.netns import traces, users

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

LABS = 10
URL = f"http://192.168.56.11:{example.NODE_PORT}/"


@dataclass(frozen=True, slots=True)
class Seat:
    """One lab of somebody: how to start its commands."""

    name: str
    start: Callable[..., subprocess.Popen[str]]

    def labkit(self, verb: str, *argv: str) -> subprocess.Popen[str]:
        return self.start("-m", "labkit.cli", verb, f"--name={self.name}", *argv)


def side_by_side(seats: Sequence[Seat], *argv: str) -> list[str]:
    """Run the same command for every lab at once; return what each wrote."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(seat.labkit(*argv)) for seat in seats]
        said = [process.communicate(timeout=200) for process in started]
    failed = [both for both, process in zip(said, started, strict=True) if process.returncode]
    assert not failed, "\n\n".join("".join(both) for both in failed)
    return [stdout for stdout, _ in said]


def ask_all(seats: Sequence[Seat]) -> None:
    """All labs up, each asked for its Service through its nodePort, each for its own objects."""
    side_by_side(seats, "up", "--workers", "1")
    answers = side_by_side(seats, "exec", "client", "--", "curl", "-sS", URL)
    assert all("app1-" in answer for answer in answers)
    objects = side_by_side(seats, "get", "-o", "json", "service", example.NAME)
    uids = {json.loads(text)["metadata"]["uid"] for text in objects}
    assert len(uids) == len(seats)


def test_ten_labs_of_one_user(home: Path, tmp_path: Path) -> None:
    def start(*argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *argv],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    seats = [Seat(f"seat{number}", start) for number in range(LABS)]
    seen = traces.Traces(home)
    try:
        ask_all(seats)
        seen.remember()
    finally:
        side_by_side(seats, "down", "--purge", "--yes")
    assert seen.left() == {}


@pytest.mark.rootless
def test_ten_labs_of_ten_users() -> None:
    names = [f"labkit-seat{number}" for number in range(LABS)]
    with users.made(*names) as made:
        try:
            ask_all([seat_of(user) for user in made])
            assert users.running(made)
        finally:
            side_by_side([seat_of(user) for user in made], "down", "--purge", "--yes")
        assert users.running(made) == []
        left = [Path(f"/tmp/labkit-{user.pw_uid}") for user in made]
        left += [Path(user.pw_dir, ".local/state/labkit") for user in made]
        assert [path for path in left if path.exists() and list(path.iterdir())] == []


def seat_of(user: pwd.struct_passwd) -> Seat:
    return Seat("lab", functools.partial(users.start, user))
