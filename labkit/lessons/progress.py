"""How far a learner has come: one small file beside the labs' own folders.

It survives `labkit down --purge`, a new lab and a new notebook. A file that cannot be read is put
aside under another name, never thrown away.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from labkit import paths, system

FILE = "progress.json"


class Prediction(msgspec.Struct):
    """`truth` is empty until the request was sent and the prediction graded."""

    answer: str
    truth: str = ""


class LessonProgress(msgspec.Struct):
    """`hints` counts those given for each check; `began` and `done` are UTC, ISO 8601."""

    began: str = ""
    done: str = ""
    predictions: dict[str, Prediction] = {}
    passed: list[str] = []
    hints: dict[str, int] = {}


class Progress(msgspec.Struct):
    version: int = 1
    lessons: dict[str, LessonProgress] = {}

    def of(self, lesson: str) -> LessonProgress:
        return self.lessons.setdefault(lesson, LessonProgress())


def load() -> Progress:
    return _read(paths.state_root() / FILE)


@contextlib.contextmanager
def changing() -> Iterator[Progress]:
    """The progress, to be changed in the block and then saved; others wait meanwhile."""
    root = paths.state_root()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = system.open_lock(root)
    try:
        system.lock(fd, wait=True)
        progress = _read(root / FILE)
        yield progress
        text = msgspec.json.format(msgspec.json.encode(progress), indent=1).decode()
        paths.ensure_file(root / FILE, text, 0o600)
    finally:
        os.close(fd)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Progress:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Progress)
    except FileNotFoundError:
        return Progress()
    except msgspec.DecodeError:
        aside = next(
            name
            for number in range(1, 1000)
            if not (name := path.with_name(f"{path.name}.unreadable-{number}")).exists()
        )
        path.replace(aside)
        return Progress()
