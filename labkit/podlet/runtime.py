"""A container is a process: in the pod's network, with a host name and process ids of its own.

    nsenter --net=/run/netns/default_app1-1      the pod's network, which all its containers share
    └ unshare --uts --pid --fork                 a host name and process ids of its own
      └ sh (pid 1)                               passes TERM on, waits, leaves the exit status
        └ the program

That is most of what a container runtime does; cgroups and file systems are left out. When pid 1 of
a process namespace ends, the kernel kills all that is left in it: so killing is exact, whatever the
program has started. Output goes straight into the pod's log file, by file descriptor.

None of these processes depends on the podlet: they go on when it stops, and the next one finds
them by what `state` has kept.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import pathlib
import signal
import subprocess
from collections.abc import Mapping, Sequence

from labkit.podlet import network, state

log = logging.getLogger(__name__)

#: Pid 1: a shell that outlives the program, to leave its exit status in a file. It forks just once.
INIT = r"""
(hostname "$1"; cd "$2" || exit 126; shift 3; exec "$@")
status=$?
echo "$status" >"$3"
exit "$status"
"""
#: The exit status of what was killed before it could leave one: 128 + SIGKILL, as shells say it.
KILLED = 137
_HOST_NAME_MAX = 63


def plan_command(
    pod: state.Pod, argv: Sequence[str], exit_file: str, folder: str, *, own_proc: bool
) -> tuple[str, ...]:
    """Build the whole command line of a container's process, as one could type it."""
    # The pod's mounts follow the node's, so that a namespace that is removed there is gone here.
    proc = ("--mount-proc", "--propagation=slave") if own_proc else ()
    return (
        *("nsenter", f"--net={network.NETNS_FOLDER / pod.netns}", "--"),
        *("unshare", "--uts", "--pid", "--fork", "--kill-child", *proc, "--"),
        *("/bin/sh", "-c", INIT, "init", pod.name[:_HOST_NAME_MAX], folder, exit_file),
        *argv,
    )


def start(command: tuple[str, ...], env: Mapping[str, str], log_file: pathlib.Path) -> int:
    """Start a container's process in a session of its own; return its pid."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    log_fd = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    try:
        return os.posix_spawnp(
            command[0],
            command,
            env,
            file_actions=(
                (os.POSIX_SPAWN_DUP2, null_fd, 0),
                (os.POSIX_SPAWN_DUP2, log_fd, 1),
                (os.POSIX_SPAWN_DUP2, log_fd, 2),
            ),
            setsid=True,
            setsigdef=(signal.SIGPIPE, signal.SIGINT),  # Python ignores or catches these
        )
    finally:
        os.close(log_fd)
        os.close(null_fd)


@functools.cache
def can_mount_proc() -> bool:
    """True where a process namespace may have a /proc of its own; a masked /proc forbids it."""
    argv = ("unshare", "--pid", "--fork", "--mount-proc", "--propagation=slave", "true")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    if done.returncode:
        log.info("pods see the node's /proc: %s", done.stderr.strip())
    return done.returncode == 0


def init_pid(run: state.Run) -> int:
    """Pid 1 of the container, as the node counts; 0 while it has none (yet)."""
    return _child_of(run.pid) if state.is_alive(run) else 0


def program_pid(run: state.Run) -> int:
    """The program itself; 0 until it has begun: until then pid 1's child is a fork of pid 1."""
    init = init_pid(run)
    program = _child_of(init) if init else 0
    return program if program and _words_of(program) != _words_of(init) else 0


def enter(pid: int) -> tuple[str, ...]:
    """What to put before a command to run it inside the container whose pid 1 this is."""
    return ("nsenter", f"--target={pid}", "--net", "--uts", "--pid", "--mount", "--")


def terminate(run: state.Run) -> None:
    """Ask the program to end. What has not begun yet is ended at once."""
    program = program_pid(run)
    if program:
        _send(program, signal.SIGTERM)
    else:
        kill(run)


def kill(run: state.Run) -> None:
    """End the container and everything in it; its pidfd tells when that is done."""
    if state.is_alive(run):
        _send(init_pid(run) or run.pid, signal.SIGKILL)


def kill_all(netns: str) -> None:
    """End every process in the pod's network, whoever started it."""
    for pid in network.pids_in(netns):
        _send(pid, signal.SIGKILL)


def take_exit_code(run: state.Run, exit_file: str) -> int:
    """How the run ended: what its init left, else what the kernel says. Buries our own child."""
    code = KILLED
    if run.pid:
        with contextlib.suppress(ChildProcessError):  # it was another podlet's
            code = os.waitstatus_to_exitcode(os.waitpid(run.pid, 0)[1])
            code = code if code >= 0 else 128 - code
    path = pathlib.Path(exit_file)
    with contextlib.suppress(OSError, ValueError):
        code = int(path.read_text())
        path.unlink()
    return code


def find(netns: str, exit_file: str) -> int:
    """The process started with `exit_file`, where a podlet died before it could note the pid."""
    pids = sorted(network.pids_in(netns))
    return next((pid for pid in pids if exit_file.encode() in _words_of(pid)), 0)


def _child_of(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return 0


def _words_of(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
