"""The first process of the namespaces: private folders, then libvirtd, until its stdin is closed.

LXC's containers take their first address from a bridge that a service of LXC's usually makes.

`unshare` has made network, mount and process namespaces. When this process ends, for whatever
reason, the kernel ends libvirtd and all machines with it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

#: All that libvirt, dnsmasq and LXC write. Of the first, the contents that packages brought are
#: kept.
KEPT = ("/etc/libvirt",)
EMPTY = (
    *("/var/lib/libvirt", "/run/libvirt", "/var/log/libvirt", "/var/cache/libvirt"),
    *("/var/lib/lxc", "/run/lxc", "/var/log/lxc", "/var/cache/lxc"),
)

#: Root may do everything here; security labels and cgroups belong to the machine outside.
QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
stdio_handler = "file"
"""
#: Whoever is in here may ask libvirtd everything. It listens at a Unix socket only.
LIBVIRTD_CONF = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
"""
STARTED_S = 60


def main(folder: Path) -> None:
    make_private(folder)
    start_libvirtd(folder)
    run("/usr/libexec/lxc/lxc-net", "start")
    # QEMU leaves its parent, and so becomes a child of this first process. libvirtd waits until it
    # is gone altogether: nobody shall have to ask for its exit status.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


def make_private(folder: Path) -> None:
    """Lay folders of our own over those of the machine, and show the namespace's own cards."""
    run("mount", "--make-rprivate", "/")
    cgroups = folder / "cgroup"
    cgroups.mkdir()
    # Moved, not bound: LXC makes a container's cgroup at each place where it sees a hierarchy.
    run("mount", "--move", "/sys/fs/cgroup", str(cgroups))
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    run("mount", "--move", str(cgroups), "/sys/fs/cgroup")
    run("ip", "link", "set", "lo", "up")
    # Emulated everywhere, so that it is the same everywhere. Some machines show a device that QEMU
    # can open and then waits for without end.
    if Path("/dev/kvm").exists():
        run("mount", "--bind", "/dev/null", "/dev/kvm")
    for place in (*KEPT, *EMPTY):
        own = folder / place.strip("/").replace("/", "-")
        if place in KEPT:
            run("cp", "-a", place, str(own))
        own.mkdir(exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", str(own), place)
    # No network of its own: the lab's is the only one.
    for link in Path("/etc/libvirt/qemu/networks").glob("autostart/*"):
        link.unlink()
    Path("/etc/libvirt/qemu.conf").write_text(QEMU_CONF)
    Path("/etc/libvirt/libvirtd.conf").write_text(LIBVIRTD_CONF)


def start_libvirtd(folder: Path) -> None:
    """Start it, and return when it says that it is there, as it would say to systemd."""
    name = folder / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard,
        (folder / "log").open("w") as to,
    ):
        heard.bind(str(name))
        heard.settimeout(STARTED_S)
        environment = os.environ | {"NOTIFY_SOCKET": str(name)}
        # Its usual pid file is in /run itself, which others see.
        argv = ["/usr/sbin/libvirtd", "--pid-file", str(folder / "libvirtd.pid")]
        subprocess.Popen(argv, stdout=to, stderr=to, env=environment)
        while b"READY=1" not in heard.recv(4096):
            pass


def run(*argv: str) -> None:
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
