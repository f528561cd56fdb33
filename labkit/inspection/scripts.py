"""Python files of ours that run on a machine: each goes there as text, with its words behind it.

They are files of their own, so that they can be read, and run on a machine by hand.
"""

from __future__ import annotations

import functools
from pathlib import Path


def argv(file: Path, *words: str) -> tuple[str, ...]:
    """The command that runs `file` there, with nothing loaded but what it asks for."""
    return ("/usr/bin/python3", "-I", "-S", "-c", _read(file), *words)


@functools.cache
def _read(file: Path) -> str:
    return file.read_text()
