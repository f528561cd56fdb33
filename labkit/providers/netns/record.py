"""Which process is the lab's holder, also when its socket is gone.

A user's runtime folder is removed when the user logs out, and the holder goes on: then this record
finds it. A pid alone may name somebody else by now; with the time at which the process began, and
the boot since which that is counted, it names one process for ever.
"""

from __future__ import annotations

from pathlib import Path


def write(path: Path, pid: int) -> None:
    path.write_text(_identity(pid))


def read(path: Path) -> int:
    """Return the pid of the process that was recorded, or 0 if it has ended."""
    try:
        recorded = path.read_text()
        pid = int(recorded.split()[0])
        is_over = _stat(pid)[0] in "ZX"  # it has ended, and its parent has not looked yet
        return pid if _identity(pid) == recorded and not is_over else 0
    except (OSError, ValueError, IndexError):
        return 0


def parent(pid: int) -> int:
    """Return the process that waits for `pid`."""
    return int(_stat(pid)[1])


def _identity(pid: int) -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{pid} {_stat(pid)[19]} {boot}"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
