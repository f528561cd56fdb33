"""One `up` or `down` at a time: the lab's state folder itself is what is locked.

A lock on a folder needs no file of its own, is let go by the kernel when its holder dies, and so
never has to be cleaned up after a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from labkit import errors, system

#: Says who holds the lock, for the message that the other one gets.
NOTE = "working.json"


@contextlib.contextmanager
def exclusive(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lab for as long as the block runs. Raises Busy, naming who works on it."""
    fd = _lock(folder)
    note = folder / NOTE
    try:
        with contextlib.suppress(OSError):  # a disk that is full does not keep `down` from its work
            note.write_text(json.dumps({"doing": doing, "pid": os.getpid()}))
        yield
    finally:
        note.unlink(missing_ok=True)
        os.close(fd)


def _lock(folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            fd = system.open_lock(folder)
        except FileNotFoundError:
            continue  # `down --purge` took it away in between
        try:
            system.lock(fd, wait=False)
        except BlockingIOError as error:
            os.close(fd)
            raise errors.Busy(
                f"{_who(folder)} on the lab {folder.name} right now",
                hint="wait until it has ended, or end it with Ctrl-C, and try again",
            ) from error
        if folder.exists() and (system.is_windows() or _same(fd, folder)):
            return fd
        os.close(fd)


def _same(fd: int, folder: Path) -> bool:
    """False where the folder was purged, and made anew, since it was opened."""
    return os.path.samestat(os.fstat(fd), folder.stat())


def _who(folder: Path) -> str:
    try:
        note = json.loads((folder / NOTE).read_text())
    except (OSError, ValueError):
        return "another labkit works"
    return f"`labkit {note['doing']}` (process {note['pid']}) works"
