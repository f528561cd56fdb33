"""A learner's progress: one file that survives whatever happens to it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from labkit.lessons import progress


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "labkit"


def test_what_is_written_is_read_again() -> None:
    with progress.changing() as kept:
        kept.of("02-x").predictions["chain"] = progress.Prediction("A", "B")
        kept.of("02-x").hints["service"] = 2
    assert progress.load().of("02-x").predictions["chain"].truth == "B"
    assert progress.load().of("02-x").hints == {"service": 2}


def test_nothing_is_written_when_the_change_fails() -> None:
    def change() -> None:
        with progress.changing() as kept:
            kept.of("02-x").began = "now"
            raise KeyError

    with pytest.raises(KeyError):
        change()
    assert progress.load().lessons == {}


def test_two_kernels_at_once_lose_nothing() -> None:
    def count(name: str) -> None:
        for number in range(25):
            with progress.changing() as kept:
                kept.of(name).hints[str(number)] = 1

    threads = [threading.Thread(target=count, args=(name,)) for name in ("01-a", "02-b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: len(mine.hints) for name, mine in progress.load().lessons.items()} == {
        "01-a": 25,
        "02-b": 25,
    }


def test_a_spoilt_file_is_put_aside_not_thrown_away(home: Path) -> None:
    home.mkdir()
    (home / progress.FILE).write_text("{ spoilt")
    assert progress.load().lessons == {}
    assert (home / f"{progress.FILE}.unreadable-1").read_text() == "{ spoilt"
