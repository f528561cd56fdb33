"""Start the namespaces with libvirtd in them, run commands there, end all of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labkit import local

ROOT = Path(__file__).parents[2]

#: Each program or file, and the Debian package that brings it.
NEEDS = {
    "/usr/bin/qemu-system-x86_64": "qemu-system-x86",
    "/usr/bin/qemu-img": "qemu-utils",
    "/usr/sbin/libvirtd": "libvirt-daemon-system",
    "/usr/bin/virsh": "libvirt-clients",
    "/usr/sbin/dnsmasq": "dnsmasq-base",
    "/usr/bin/vagrant": "vagrant",
    "/usr/share/rubygems-integration/all/specifications/vagrant-libvirt-*": "vagrant-libvirt",
    "/usr/bin/lxc-start": "lxc",
    "/usr/sbin/brctl": "bridge-utils",
    "/usr/share/rubygems-integration/all/specifications/vagrant-lxc-*": "vagrant-lxc",
    "/usr/sbin/debootstrap": "debootstrap",
    "/usr/bin/grub-mkimage": "grub-common",
    "/usr/lib/grub/i386-pc/boot.img": "grub-pc-bin",
}

#: Debian asks this program before it starts a service; 101 means no.
POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True)
class Harness:
    """Namespaces with a libvirtd. `folder` holds the state of everything that runs in them."""

    pid: int
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def argv(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "--net", "--mount", "--pid", "--", *argv]

    def call(self, argv: Sequence[str]) -> int:
        """Run a command on this terminal; its exit status."""
        return subprocess.run(self.argv(argv), env=self.environment, check=False).returncode

    def run(self, *argv: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a command and keep what it says."""
        return subprocess.run(
            self.argv(argv),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Run a command that goes on meanwhile, with pipes to its stdin and from its stdout."""
        return subprocess.Popen(
            self.argv(argv),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def missing() -> list[str]:
    """The Debian packages that are not here."""
    return sorted({package for file, package in NEEDS.items() if not _is_here(file)})


def _is_here(file: str) -> bool:
    return any(Path("/").glob(file.lstrip("/")))


def install() -> None:
    """Install what is missing, and start none of its services on this machine."""
    wanted = missing()
    if not wanted:
        return
    own = not POLICY.exists()
    if own:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for argv in (["update"], ["install", "-y", "--no-install-recommends", *wanted]):
            subprocess.run(["apt-get", "-q", *argv], check=True, env=environment)
    finally:
        if own:
            POLICY.unlink()


@contextlib.contextmanager
def running() -> Iterator[Harness]:
    """Namespaces with a libvirtd in them, for as long as the block lasts."""
    install()
    folder = Path(tempfile.mkdtemp(prefix="lkvm"))
    # `--kill-child`: when this process is gone, so is everything in there.
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv = [*unshare, sys.executable, "-m", "tests.vagrant.inside", str(folder)]
    process = subprocess.Popen(
        ["nice", *argv], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError(f"libvirtd did not start: {_tail(folder / 'log')}")
        yield Harness(_first_child(process.pid), folder, _environment(folder))
    finally:
        process.communicate()  # closes its stdin, which is what it waits for
        remove_cgroups(folder / "var-lib-lxc")
        shutil.rmtree(folder)


def remove_cgroups(containers: Path) -> None:
    """Those of containers that ended with their namespaces: nobody was left to do it."""
    for container in containers.glob("lk-*"):
        for suffix in ("", "-monitor"):
            for cgroup in [*Path("/sys/fs/cgroup").rglob(f"{container.name}{suffix}")]:
                for each in sorted(cgroup.rglob("*/"), reverse=True):  # what is inside comes first
                    each.rmdir()
                cgroup.rmdir()


def _first_child(pid: int) -> int:
    """The process that `unshare --fork` made: the first one in there."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _environment(folder: Path) -> dict[str, str]:
    """Folders of its own for whatever keeps state. What is merely cached is shared: boxes."""
    own = {
        "XDG_STATE_HOME": folder / "state",
        "XDG_RUNTIME_DIR": folder / "runtime",
        "VAGRANT_HOME": folder / "vagrant",
    }
    for place in own.values():
        place.mkdir(mode=0o700)
    bin_ = Path(sys.executable).parent
    return {
        **os.environ,
        **{name: str(place) for name, place in own.items()},
        "PATH": f"{bin_}:{os.environ['PATH']}:{local.SBIN}",
        "VAGRANT_DEFAULT_PROVIDER": "libvirt",
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
        "LIBVIRT_DEFAULT_URI": "qemu:///system",
    }


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-5:]) if log.exists() else "(it said nothing)"
