"""The programs that labkit calls, the Debian packages they come from, and how to get those.

Nothing else is ever installed. One package would do more than is wanted: `openssh-server` starts a
login service for the whole machine. The lab only needs its program, so where systemd runs that
service is masked before the package comes.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit import errors, local, system

#: A slow mirror on a workshop's network.
INSTALL_TIMEOUT_S = 900.0

_MASK_SSHD = ("systemctl", "mask", "ssh.service", "ssh.socket")

Ask = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package, the programs that labkit takes from it, and what for."""

    name: str
    programs: tuple[str, ...]
    why: str
    rootless_only: bool = False


PACKAGES = (
    Package("iptables", ("iptables-save", "iptables-restore"), "the proxy's rules"),
    Package("openssh-server", ("sshd",), "every node answers SSH"),
    Package("openssh-client", ("ssh",), "`labkit ssh`"),
    Package("iproute2", ("ip", "ss"), "the nodes' links, addresses and sockets"),
    Package("uidmap", ("newuidmap", "newgidmap"), "a lab without root", rootless_only=True),
    Package("conntrack", ("conntrack",), "what the kernel knows of each translated connection"),
    Package("tcpdump", ("tcpdump",), "seeing the packets"),
    Package("curl", ("curl",), "asking a Service from a node"),
    Package("procps", ("ps", "sysctl"), "looking around on a node"),
    Package("util-linux", ("unshare", "nsenter", "mount"), "making and entering namespaces"),
    Package("python3", ("/usr/bin/python3",), "the cluster's programs on the nodes"),
)


def find_programs() -> frozenset[str]:
    """Which of the programs above this machine has."""
    return frozenset(name for package in PACKAGES for name in package.programs if local.has(name))


def plan_packages(programs: Collection[str], *, rootless: bool) -> tuple[Package, ...]:
    """The packages that are missing where these `programs` are found."""
    return tuple(
        package
        for package in PACKAGES
        if (rootless or not package.rootless_only) and not set(package.programs) <= set(programs)
    )


def plan_install(
    missing: Sequence[Package], *, become_root: Sequence[str], systemd: bool
) -> tuple[tuple[str, ...], ...]:
    """The commands that bring the `missing` packages, in order. `become_root`: () or sudo."""
    names = [package.name for package in missing]
    hold = [_MASK_SSHD] if systemd and "openssh-server" in names else []
    get = [("apt-get", "update"), ("apt-get", "install", "-y", "--no-install-recommends", *names)]
    return tuple((*become_root, *argv) for argv in (*hold, *get))


def explain_install(missing: Sequence[Package]) -> str:
    """One line a package, then what else will change: the question before installing."""
    width = max(len(package.name) for package in missing)
    lines = [f"  {package.name:<{width}}  {package.why}" for package in missing]
    if _systemd() and any(package.name == "openssh-server" for package in missing):
        lines.append(
            "ssh.service and ssh.socket will be masked first, so that this machine itself opens no"
            " SSH port\n(`systemctl unmask ssh.service ssh.socket` undoes that)."
        )
    return "\n".join(["These Debian packages are missing:", *lines])


def by_hand(missing: Sequence[Package]) -> str:
    """The line to type, by somebody who may become root."""
    become_root = () if system.is_root() else ("sudo",)
    commands = plan_install(missing, become_root=become_root, systemd=_systemd())
    return " && ".join(shlex.join(argv) for argv in commands)


def may_install() -> bool:
    """True where labkit can install packages itself, perhaps after sudo asked for a password."""
    return local.has("apt-get") and _become_root() is not None


def install(missing: Sequence[Package], ask: Ask) -> None:
    """Install `missing` after `ask` agreed. Raises NotSupported with the command to type."""
    names = ", ".join(package.name for package in missing)
    become_root = _become_root()
    if not local.has("apt-get"):
        programs = ", ".join(name for package in missing for name in package.programs)
        raise errors.NotSupported(
            f"programs are missing, and this is not a Debian machine: {programs}",
            hint="install them with this system's own package program",
        )
    if become_root is None or not ask(explain_install(missing)):
        raise errors.NotSupported(f"packages are missing: {names}", hint=by_hand(missing))
    for argv in plan_install(missing, become_root=become_root, systemd=_systemd()):
        local.run(argv, timeout_s=INSTALL_TIMEOUT_S)


def _become_root() -> tuple[str, ...] | None:
    """What goes before a command for root; None where there is no way."""
    if system.is_root():
        return ()
    if not local.has("sudo"):
        return None
    if local.run(["sudo", "-n", "true"], check=False).exit_status == 0:
        return ("sudo", "-n")
    return ("sudo",) if sys.stdin.isatty() else None


def _systemd() -> bool:
    return Path("/run/systemd/system").is_dir()
