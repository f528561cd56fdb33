"""The `ip` program: many lines in one call, because starting it costs more than what it does."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Sequence
from typing import Any

from labkit import errors


def run(*arguments: str, lines: Sequence[str] = (), force: bool = False) -> str:
    """Run `ip` once, with `lines` as a batch if there are any; return what it printed.

    A batch stops at the first line that fails; with `force` it goes on. Either way it then raises.
    """
    batch = (("-force",) if force else ()) + ("-batch", "-") if lines else ()
    argv = ("ip", *batch, *arguments)
    done = subprocess.run(
        argv, input="\n".join(lines), capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode:
        raise errors.CommandFailed(argv, done.returncode, done.stderr)
    return done.stdout


def ask(*arguments: str) -> list[dict[str, Any]]:
    """Run `ip -json`; where there is nothing to show, some versions print nothing at all."""
    answer: list[dict[str, Any]] = json.loads(run("-json", *arguments) or "[]")
    return answer


def has_link(name: str) -> bool:
    """True when this network namespace has an interface of that name; /sys may show another's."""
    try:
        return socket.if_nametoindex(name) > 0
    except OSError:
        return False
