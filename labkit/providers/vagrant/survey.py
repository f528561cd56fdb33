"""What this machine has for Vagrant's machines: looked at, before any judgement.

Nobody is asked over the network, and nothing is started but `vagrant` and `ip`, to list things.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from labkit import errors, local, paths, system
from labkit.providers.vagrant import machines

KVM = Path("/dev/kvm")
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Box:
    """A box that Vagrant keeps here. `architecture` is empty where an old Vagrant does not say."""

    name: str
    provider: str
    version: str
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """`kvm`: may be used, is there but not for this user, or is not there; None but on Linux."""

    system: str
    architecture: str
    vagrant: bool
    software: frozenset[str]
    plugins: frozenset[str]
    kvm: str | None
    boxes: tuple[Box, ...]
    addresses: tuple[tuple[str, IPv4Interface], ...]
    memory_mib: int | None
    disk_mib: int


def read() -> Facts:
    """Look at this machine. Changes nothing on it."""
    here = local.has("vagrant")
    root = paths.state_root()
    disk = next(each for each in (root, *root.parents) if each.exists())
    said = platform.machine().lower()
    return Facts(
        system=system.name(),
        architecture=_ARCHITECTURES.get(said, said),
        vagrant=here,
        software=frozenset(name for name, made in machines.PROGRAMS.items() if local.has(made)),
        plugins=parse_plugins(_lines("vagrant", "plugin", "list")) if here else frozenset(),
        kvm=_kvm() if system.is_linux() else None,
        boxes=tuple(parse_boxes(_lines("vagrant", "box", "list"))) if here else (),
        addresses=parse_addresses("\n".join(_lines("ip", "-json", "-4", "address"))),
        memory_mib=machines.free_memory_mib(),
        disk_mib=shutil.disk_usage(disk).free // 2**20,
    )


def parse_plugins(lines: Iterable[str]) -> frozenset[str]:
    """`vagrant plugin list`: a name and its version a line, with notes that are indented."""
    found = (re.match(r"([\w-]+) \(", line) for line in lines)
    return frozenset(each[1] for each in found if each)


def parse_boxes(lines: Iterable[str]) -> Iterator[Box]:
    """`vagrant box list`: `NAME (PROVIDER, VERSION)`, of newer ones with `, (ARCHITECTURE)`."""
    for line in lines:
        found = re.match(r"(\S+)\s+\((\w+), ([^,)]+)(?:, \((\w+)\))?\)", line)
        if found:
            yield Box(found[1], found[2], found[3], found[4] or "")


def parse_addresses(text: str) -> tuple[tuple[str, IPv4Interface], ...]:
    """`ip -json -4 address`: each address with the link that has it."""
    return tuple(
        (link["ifname"], IPv4Interface(f"{each['local']}/{each['prefixlen']}"))
        for link in json.loads(text or "[]")
        for each in link.get("addr_info", ())
    )


def _lines(*argv: str) -> Sequence[str]:
    """What it prints; nothing where it is not here or fails, which `up` would then explain."""
    try:
        return local.run(argv, check=False).stdout.splitlines()
    except errors.LabkitError:
        return ()


def _kvm() -> str:
    if not KVM.exists():
        return "absent"
    return "usable" if os.access(KVM, os.R_OK | os.W_OK) else "forbidden"
