"""What this machine has and what its kernel allows: read, and where possible simply tried.

Settings that forbid namespaces are many and differ from one distribution to the next; trying costs
a few milliseconds and cannot be wrong. Each trial runs in namespaces of its own, which end with it.
"""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labkit import errors, local, paths, system
from labkit.preflight import packages

MAKE_USER_NAMESPACE = ("unshare", "--user", "--map-root-user")
#: With a range of ids as well: sshd drops its privileges to another user.
MAKE_ROOTLESS = (*MAKE_USER_NAMESPACE, "--map-auto")
MAKE_NETWORK = ("unshare", "--net", "--mount")

#: What the lab does in its namespaces, and the smallest command that does the same.
TRIALS: Mapping[str, tuple[str, ...]] = {
    "veth": ("ip", "link", "add", "lk-a", "type", "veth", "peer", "name", "lk-b"),
    "bridge": ("ip", "link", "add", "lk-bridge", "type", "bridge"),
    "nat": ("sh", "-c", "iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 1"),
}

SETTINGS = (
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    "user.max_user_namespaces",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts, before any judgement. `trials` maps each one to its error; empty: it worked."""

    system: str
    root: bool
    user: str
    programs: frozenset[str]
    may_install: bool
    settings: Mapping[str, str]
    subordinate_ids: bool
    trials: Mapping[str, str]
    state_folder: str
    free_bytes: int
    runtime_trouble: str
    container: str


def read() -> Machine:
    """Look at this machine. Changes nothing on it."""
    root, linux = system.is_root(), system.is_linux()
    folder = _nearest_existing(paths.state_root())
    return Machine(
        system=system.name(),
        root=root,
        user=getpass.getuser(),
        programs=packages.find_programs(),
        may_install=packages.may_install(),
        settings={name: _setting(name) for name in SETTINGS},
        subordinate_ids=linux and _has_range("/etc/subuid") and _has_range("/etc/subgid"),
        trials=try_all(root=root) if linux and local.has("unshare") else {},
        state_folder=str(paths.state_root()),
        free_bytes=shutil.disk_usage(folder).free,
        runtime_trouble=_runtime_trouble(),
        container=_container(),
    )


def try_all(*, root: bool) -> dict[str, str]:
    """Run the trials, the ones for making namespaces first."""
    within = MAKE_NETWORK if root else (*MAKE_ROOTLESS, *MAKE_NETWORK[1:])
    outcome = {} if root else {"user-namespace": _try((*MAKE_USER_NAMESPACE, "true"))}
    outcome["namespaces"] = _try((*within, "true"))
    if not outcome["namespaces"]:
        programs = {name: argv for name, argv in TRIALS.items() if local.has(argv[0])}
        outcome |= {name: _try((*within, *argv)) for name, argv in programs.items()}
    return outcome


def _try(argv: tuple[str, ...]) -> str:
    done = local.run(argv, timeout_s=10, check=False)
    return "" if done.exit_status == 0 else done.stderr.strip() or f"status {done.exit_status}"


def _setting(name: str) -> str:
    """A sysctl's value; empty where this kernel does not know it."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return ""


def _has_range(file: str) -> bool:
    """True when `file` gives this user at least 65536 ids, by name or by number."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return False
    me = {getpass.getuser(), str(os.getuid())}
    entries = (line.split(":") for line in lines if line.count(":") == 2)
    return any(owner in me and int(count) >= 65536 for owner, _, count in entries)


def _nearest_existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _runtime_trouble() -> str:
    """Why sockets cannot be put into the runtime folder; empty when they can."""
    try:
        folder = _nearest_existing(paths.runtime_root())
    except errors.NotSupported as error:
        return error.message
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is not yours to write to"


def _container() -> str:
    """The kind of container that this is; empty on a machine of its own."""
    if Path("/.dockerenv").exists():
        return "docker"
    return "podman" if Path("/run/.containerenv").exists() else ""
