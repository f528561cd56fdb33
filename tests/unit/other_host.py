"""Runs labkit as if this were macOS or Windows: `python other_host.py win32 up --provider vagrant`.

What such a system has not is made unavailable: modules, functions, /proc. All that others wrote is
imported before, and stays as it is on Linux; what labkit itself imports and calls is what is tried.
"""

import builtins
import importlib
import importlib.abc
import io
import os
import shutil
import signal
import socket
import sys
import types
from collections.abc import Callable
from typing import Any

FOREIGN = """
    asyncio click click.shell_completion cryptography.x509 msgspec msgspec.json multiprocessing
    cryptography.hazmat.primitives.asymmetric.ed25519 getpass paramiko rich.console rich.live
    rich.progress rich.table ssl subprocess tempfile urllib.request vagrant yaml
"""

LINUX_ONLY = {
    os: "pidfd_open sched_getaffinity sched_setaffinity memfd_create setns unshare "
    "getrandom splice eventfd posix_fallocate setxattr getxattr",
    signal: "pidfd_send_signal SIGPOLL",
    socket: "AF_NETLINK AF_PACKET SOCK_CLOEXEC SO_PEERCRED SO_MARK",
}
UNIX_ONLY = {
    os: "fork forkpty geteuid getuid getegid getgid getgroups setsid getpgid killpg mkfifo uname "
    "chown lchown openpty O_DIRECTORY O_NOFOLLOW O_CLOEXEC getloadavg",
    signal: "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGCHLD SIGALRM SIGPIPE SIGWINCH alarm sigwait "
    "pthread_sigmask setitimer",
    socket: "AF_UNIX socketpair sendmsg",
}
UNIX_MODULES = "fcntl pwd grp resource termios tty pty syslog readline posix curses"


class Absent(importlib.abc.MetaPathFinder):
    """Stands before all others, and has not got the modules of Unix."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name in UNIX_MODULES.split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def without_proc(opens: Callable[..., Any]) -> Callable[..., Any]:
    def checked(file: Any, *words: Any, **more: Any) -> Any:
        if str(file).startswith(("/proc/", "/sys/", "/etc/sub")):
            raise FileNotFoundError(2, "No such file", str(file))
        return opens(file, *words, **more)

    return checked


def as_linux(which: Callable[..., Any]) -> Callable[..., Any]:
    """Programs are found without their `.exe`: the one that is here for Vagrant has none."""

    def found(*words: Any, **more: Any) -> Any:
        pretended, sys.platform = sys.platform, "linux"
        try:
            return which(*words, **more)
        finally:
            sys.platform = pretended

    return found


def windows_locks() -> types.ModuleType:
    """A `msvcrt` whose locks are real ones, by the module that is about to be taken away."""
    import fcntl

    module: Any = types.ModuleType("msvcrt")
    module.LK_LOCK, module.LK_NBLCK = 1, 2

    def locking(fd: int, mode: int, size: int) -> None:
        fcntl.lockf(fd, fcntl.LOCK_EX | (fcntl.LOCK_NB if mode == module.LK_NBLCK else 0), size)

    module.locking = locking
    return module  # type: ignore[no-any-return]


def pretend(platform: str) -> None:
    for name in FOREIGN.split():
        importlib.import_module(name)
    gone = [LINUX_ONLY]
    if platform == "win32":
        gone.append(UNIX_ONLY)
        sys.modules["msvcrt"] = windows_locks()
        for name in UNIX_MODULES.split():
            sys.modules.pop(name, None)
        sys.meta_path.insert(0, Absent())
    for table in gone:
        for module, names in table.items():
            for name in names.split():
                if hasattr(module, name):
                    delattr(module, name)
    builtins.open = without_proc(builtins.open)
    io.open = without_proc(io.open)
    shutil.which = as_linux(shutil.which)
    sys.platform = platform


if __name__ == "__main__":
    pretend(sys.argv[1])
    from labkit import cli

    sys.argv[:2] = ["labkit"]
    try:
        cli.main()
    finally:
        loaded = [name for name in sys.modules if name.startswith("labkit.providers.netns")]
        if loaded:
            sys.exit(f"imported for nothing: {loaded}")
