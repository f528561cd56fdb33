"""What differs between operating systems, said once: who is root, which lab is usual, how to lock.

A lab of network namespaces is Linux's alone. On macOS and Windows labkit drives Vagrant, and what
needs namespaces is not imported. No module that only one system has is imported with this one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def name() -> str:
    """As people call it."""
    names = {"darwin": "macOS", "win32": "Windows", "linux": "Linux"}
    return names.get(sys.platform, sys.platform)


def is_linux() -> bool:
    return sys.platform.startswith("linux")


def is_windows() -> bool:
    return sys.platform == "win32"


def is_root() -> bool:
    """True for the user who may do everything; Windows has no such user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def default_provider() -> str:
    """What makes the machines where nobody has said so."""
    return "netns" if is_linux() else "vagrant"


def open_lock(folder: Path) -> int:
    """A descriptor to lock `folder` by: the folder's own, and on Windows a file's beside it.

    Windows opens no folders, and removes no file that is open: the file stays, empty.
    """
    if is_windows():
        beside = folder.with_name(f".{folder.name}.lock")
        return os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def lock(fd: int, *, wait: bool) -> None:
    """Lock it for this process, which loses the lock when it ends. Raises BlockingIOError."""
    if is_windows():
        _lock_first_byte(fd, wait=wait)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _lock_first_byte(fd: int, *, wait: bool) -> None:
    import msvcrt as windows

    c_runtime: Any = windows  # its functions are unknown to a type checker on another system
    mode = c_runtime.LK_LOCK if wait else c_runtime.LK_NBLCK
    while True:
        try:
            c_runtime.locking(fd, mode, 1)
        except OSError as error:
            if not wait:
                raise BlockingIOError(error.errno, "somebody else has locked it") from error
            # LK_LOCK has tried for ten seconds.
        else:
            return
