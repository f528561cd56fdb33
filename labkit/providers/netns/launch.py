"""Starting and ending the holder: as root, or as an ordinary user through a user namespace."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from labkit import errors
from labkit.model import spec
from labkit.providers.netns import record, wire

MODULE = "labkit.providers.netns.holder"

#: Making the namespaces and a bridge takes 50 ms; a machine that swaps may need far longer.
START_TIMEOUT_S = 15.0
END_TIMEOUT_S = 5.0


def plan_unshare(*, root: bool) -> tuple[str, ...]:
    """Return the command that makes the lab's namespaces around the holder.

    `--map-auto` gives an ordinary user the subordinate ids of /etc/subuid, without which sshd
    cannot separate privileges.
    """
    user = () if root else ("--user", "--map-root-user", "--map-auto")
    return ("unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child")


def plan_enter(pid: int, *, root: bool) -> tuple[str, ...]:
    """Return the command prefix by which a program joins the lab's network, and nothing else."""
    user = () if root else ("--user", "--preserve-credentials")
    return ("nsenter", f"--target={pid}", *user, "--net", "--")


def is_root() -> bool:
    return os.geteuid() == 0


def start(lab: spec.LabSpec, socket_path: Path, disks: Path) -> None:
    """Start the holder and return when it answers. Raises NotSupported, ProviderError, TimedOut."""
    argv = [
        *("setsid", "--fork"),  # the holder outlives the command line and the notebook's kernel
        *plan_unshare(root=is_root()),
        *(sys.executable, "-m", MODULE, str(socket_path), str(disks)),
        *(str(lab.machine_network), str(lab.learner_address)),
    ]
    if not shutil.which("unshare"):
        raise errors.NotSupported("the program 'unshare' is not installed", hint=_HINT)
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
    )
    assert process.stdout
    with process.stdout as pipe:
        said = _first_words(pipe.fileno())
    process.wait()
    if said != "ready":
        end(socket_path)
        raise _refusal(said)


_HINT = "`labkit doctor` says what this machine lacks and how to change it"


def _first_words(pipe: int) -> str:
    """Read until the holder is ready, has given up, or takes too long (then: an empty text)."""
    heard = b""
    while select.select([pipe], [], [], START_TIMEOUT_S)[0]:
        chunk = os.read(pipe, 4096)
        heard += chunk
        if not chunk or heard.endswith(b"ready\n"):
            return heard.decode(errors="replace").strip()
    return ""


def _refusal(said: str) -> errors.LabkitError:
    if not said:
        return errors.TimedOut(
            f"the lab's namespaces were not ready within {START_TIMEOUT_S:g} s", hint=_HINT
        )
    last = said.splitlines()[-1]
    if "not permitted" in said or "ermission denied" in said or "newuidmap" in said:
        return errors.NotSupported(
            f"this machine does not let us make namespaces: {last}", hint=_HINT
        )
    return errors.ProviderError(f"the lab's namespaces could not be made: {last}", hint=_HINT)


def end(socket_path: Path) -> None:
    """End the holder that listens at `socket_path`, if one does, and with it all machines.

    Asks first, then kills. Returns when the kernel has ended all that the holder owned.
    """
    with (
        contextlib.suppress(OSError),
        wire.connect(str(socket_path), END_TIMEOUT_S) as sock,
        _watched(wire.peer(sock)[0]) as (holder, waiter),
    ):
        with contextlib.suppress(TimeoutError):
            wire.send(sock, {"op": "shutdown"})
        if not _ended(holder):
            _kill(holder)
        _await_end(holder, waiter)


def end_lost(pid: int) -> None:
    """End a holder that cannot be asked any more; its `unshare` may have gone before it."""
    with contextlib.suppress(OSError), _pidfd(pid) as holder:
        _kill(holder)
        _await_end(holder)


def _kill(pidfd: int) -> None:
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _await_end(*pidfds: int) -> None:
    if not all(_ended(pidfd) for pidfd in pidfds):
        raise errors.ProviderError("the lab's holder process does not end even when killed")


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[tuple[int, int]]:
    """Descriptors of the holder and of the `unshare` that waits for it."""
    with _pidfd(record.parent(pid)) as waiter, _pidfd(pid) as holder:
        yield holder, waiter


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def _ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], END_TIMEOUT_S)[0])


def holder_pid(socket_path: Path) -> int:
    """Return the holder's process id on this machine, or 0 if none listens at `socket_path`."""
    try:
        with wire.connect(str(socket_path), END_TIMEOUT_S) as sock:
            return wire.peer(sock)[0]
    except OSError:
        return 0


def remove_as_mapped_root(folder: Path) -> None:
    """Remove files that a lab's processes made under subordinate user ids."""
    argv: Sequence[str] = [*plan_unshare(root=False)[:4], "rm", "-rf", str(folder)]
    subprocess.run(argv, check=True, capture_output=True)
