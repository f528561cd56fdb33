"""Run a test in a network of its own: a fork with fresh namespaces, which end with it.

As root only network and mounts are new; as an ordinary user there is a user namespace around them.
An exception in the fork is raised again in the test.
"""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def isolated(test: Callable[[], None]) -> Callable[[], None]:
    """Give a test without parameters fresh namespaces, with loopback up."""

    @functools.wraps(test)
    def wrapper() -> None:
        run_isolated(test)

    return wrapper


def run_isolated(body: Callable[[], None]) -> None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        os._exit(_in_child(body, write_end))
    os.close(write_end)
    with os.fdopen(read_end) as file:
        report = file.read()
    _, status = os.waitpid(child, 0)
    if report.startswith("SKIP "):
        pytest.skip(report.removeprefix("SKIP "))
    if status or report:
        pytest.fail(report or f"the isolated test ended with status {status}", pytrace=False)


def run(*argv: str, stdin: str = "", check: bool = True) -> str:
    """Run a program and return what it printed."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def _in_child(body: Callable[[], None], report: int) -> int:
    try:
        _new_namespaces()
        run("ip", "link", "set", "lo", "up")
        body()
    except PermissionError as error:
        os.write(report, f"SKIP no permission to make namespaces: {error}".encode())
    except BaseException:  # noqa: BLE001 - whatever it is, the parent raises it
        os.write(report, traceback.format_exc().encode())
    else:
        sys.stdout.flush()
        sys.stderr.flush()
        return 0
    return 1


def _new_namespaces() -> None:
    uid, gid = os.getuid(), os.getgid()
    _unshare(CLONE_NEWNET | CLONE_NEWNS | (CLONE_NEWUSER if uid else 0))
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    # iptables keeps its lock file in /run, `ip netns` its names; ours are nobody else's.
    libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None)


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
