"""What every machine of a lab sees of the learner's file system: all of it, read-only.

The holder sets this up once; machines inherit it and lay their own folders over it. It is also a
guard: as root a lab has no user namespace, and a slip inside a node must not reach /usr.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from pathlib import Path

# <linux/mount.h>; mount_setattr(2) has this number on every architecture. It makes a whole tree
# read-only in one call, which mount(8) can only from util-linux 2.39 on (Debian 12 has 2.38).
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1

#: Inside the lab /run is empty but for these.
RUN = Path("/run")
NETNS = RUN / "netns"
DISKS = RUN / "disks"


def shape(disks: Path) -> None:
    """Make this process's mount namespace the lab's. `disks` stays writable, as /run/disks."""
    _set_readonly("/", readonly=True, recursive=True)
    _mount("-t", "proc", "proc", "/proc")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(RUN))
    NETNS.mkdir()
    DISKS.mkdir()
    _mount("--bind", str(disks), str(DISKS))
    _set_readonly(str(DISKS), readonly=False, recursive=False)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _set_readonly(path: str, *, readonly: bool, recursive: bool) -> None:
    on, off = (_MOUNT_ATTR_RDONLY, 0) if readonly else (0, _MOUNT_ATTR_RDONLY)
    attributes = struct.pack("=4Q", on, off, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _AT_RECURSIVE if recursive else 0
    if libc.syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, attributes, len(attributes)
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"mount_setattr: {os.strerror(number)}", path)
