"""What the Vagrantfile is told, by variables; which of Vagrant's providers fits this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from labkit import errors
from labkit.model import spec

#: The program by which one knows that a provider's own software is there, best first.
PROGRAMS = {
    "libvirt": "virsh",
    "vmware_desktop": "vmrun",
    "parallels": "prlctl",
    "virtualbox": "VBoxManage",
    "qemu": "qemu-system-aarch64",
    "lxc": "lxc-create",
    "hyperv": "vmconnect",
}
#: These keep no machine as it is: containers have no memory of their own.
NO_SNAPSHOTS = ("lxc", "qemu")
#: Their machines are made one after the other. vagrant-lxc makes the bridge of the lab's network
#: where it sees none; two machines at once both do, and one fails.
ONE_BY_ONE = ("lxc",)
#: A machine's disk begins as a thin copy of the box; this is what a lab then writes.
DISK_MIB = 1024


def read_vagrantfile() -> str:
    """The Vagrantfile: beside this file in an installed package, at the top level in a checkout."""
    here = Path(__file__)
    places = (here.with_name("Vagrantfile"), here.parents[3] / "Vagrantfile")
    return next(place for place in places if place.exists()).read_text()


def choose_provider(wanted: str, has: Callable[[str], bool]) -> str:
    """The one that is wanted, or the first whose software is here; empty: Vagrant's own choice."""
    return wanted or next((name for name, program in PROGRAMS.items() if has(program)), "")


def plan_environment(
    lab: spec.LabSpec, provider: str, key: Path, strays: Iterable[str] = ()
) -> dict[str, str]:
    """The variables that the Vagrantfile reads. `strays` are machines that the lab has no more."""
    names = [f"{node.name}={node.address}" for node in lab.machines]
    # Vagrant removes only what the file defines; these have no use for their address any more.
    names += [f"{name}={lab.machine_network[250]}" for name in strays]
    wanted = lab.vagrant
    return {
        "LABKIT_LAB": lab.name,
        "LABKIT_MACHINES": ",".join(names),
        "LABKIT_NETMASK": str(lab.machine_network.netmask),
        "LABKIT_LEARNER": str(lab.learner_address),
        "LABKIT_PROVIDER": provider,
        "LABKIT_BOX": wanted.box,
        "LABKIT_BOX_VERSION": wanted.box_version,
        "LABKIT_MEMORY": str(wanted.memory),
        "LABKIT_CPUS": str(wanted.cpus),
        "LABKIT_OPTIONS": json.dumps(dict(wanted.options)),
        "LABKIT_SSH_KEY": str(key),
        **({"VAGRANT_DEFAULT_PROVIDER": provider} if provider else {}),
    }


def created(folder: Path) -> tuple[str, ...]:
    """The machines that Vagrant has made in `folder`, told by the ids that it keeps there."""
    return tuple(sorted({path.parts[-3] for path in folder.glob(".vagrant/machines/*/*/id")}))


def check_room(
    lab: spec.LabSpec, start: int, make: int, *, memory_mib: int | None, disk_mib: int
) -> None:
    """Say before anything starts that this machine has not what the lab takes. Raises."""
    needed = start * lab.vagrant.memory
    if memory_mib is not None and memory_mib < needed:
        raise errors.ProviderError(
            f"{start} machines take {needed} MiB of memory, and {memory_mib} MiB are free",
            hint="end other programs, or say less under [vagrant] memory or [nodes] workers",
        )
    if disk_mib < make * DISK_MIB:
        raise errors.DiskFull(
            f"{make} new machines take {make * DISK_MIB} MiB of disk, and {disk_mib} MiB are free",
            hint="make room; `vagrant box list` and `vagrant global-status` show what it keeps",
        )


def free_memory_mib(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """What programs can still have; None where the kernel does not say so (macOS, Windows)."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) // 1024 if found else None
