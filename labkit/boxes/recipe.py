"""What is in a box: Debian packages, a few files, a few commands. Nothing else, and no secret.

Pure. The digest of a recipe names what comes out of it: the same digest, the same machine, so a
box that is there need not be built again. The only key in it is Vagrant's public one, whose private
half everybody has: it opens a machine that nobody else can reach, until labkit puts its own there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from labkit import errors
from labkit.preflight import packages

Provider = Literal["libvirt", "virtualbox", "lxc"]
Architecture = Literal["amd64", "arm64"]
PROVIDERS: tuple[Provider, ...] = get_args(Provider)
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

SUITE = "bookworm"

#: What every machine of a lab has, beside what labkit itself calls there.
NODE = (
    "systemd-sysv", "dbus", "udev", "sudo", "nftables", "kmod", "netbase", "ca-certificates",
    "iputils-ping", "less",
)  # fmt: skip

#: The kernel for each kind of virtual hardware: the small one has no driver for VirtualBox' cards.
KERNELS: Mapping[Provider, str] = {"libvirt": "linux-image-cloud", "virtualbox": "linux-image"}

#: The drivers that the first file system needs. All others are on it.
BOOT_MODULES: Mapping[Provider, tuple[str, ...]] = {
    "libvirt": ("virtio_pci", "virtio_blk", "ext4"),
    "virtualbox": ("ata_piix", "ahci", "sd_mod", "ext4"),
}
ROOT_DEVICES: Mapping[Provider, str] = {"libvirt": "/dev/vda1", "virtualbox": "/dev/sda1"}

#: Published with Vagrant (keys/vagrant.pub); a private half that everybody has is no secret.
VAGRANT_KEY = (
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+ni"
    "NltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTB"
    "ckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL"
    "+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPK"
    "cF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ=="
    " vagrant insecure public key"
)

_NETWORK = """\
[Match]
Name=eth0

[Network]
DHCP=ipv4
LinkLocalAddressing=no
# Vagrant restarts networkd when it sets up the lab's network; this connection must outlive that.
KeepConfiguration=dhcp-on-stop

[DHCPv4]
# Machines made of one box differ in nothing else.
ClientIdentifier=mac
SendRelease=no
"""

_HOST_KEYS = """\
[Unit]
Description=Make this machine's own SSH host keys
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=multi-user.target
"""

_EMULATED = """\
[Unit]
Description=Give programs the same addresses at every start: an emulator then knows their code
DefaultDependencies=no
ConditionVirtualization=qemu
Before=systemd-udevd.service sysinit.target

[Service]
Type=oneshot
ExecStart=/sbin/sysctl -q -w kernel.randomize_va_space=0

[Install]
WantedBy=sysinit.target
"""

#: A connection to a container that ends as well keeps a container's network in the kernel, for a
#: minute or two: on the lab's bridge, with the address that the next start gives to somebody else.
_UNPLUG = """\
[Unit]
Description=Leave the lab's network when the machine ends
Before=network.target ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=-/sbin/ip link delete eth1

[Install]
WantedBy=multi-user.target
"""

_SSHD = """\
UseDNS no
PasswordAuthentication no
HostKey /etc/ssh/ssh_host_ed25519_key
"""

#: labkit sends whole scripts: sudo would write each of them to the journal, piece by piece.
_SUDOERS = """\
vagrant ALL=(ALL) NOPASSWD: ALL
Defaults:vagrant !syslog, !pam_session
"""

#: None is named as a program of labkit's: those that a lab does not want are taken away by `up`.
_SERVICES = ("systemd-networkd.service", "own-host-keys.service", "same-addresses.service")
_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
           "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what is in a box. Make one with `plan`."""

    provider: Provider
    architecture: Architecture
    suite: str
    packages: tuple[str, ...]
    files: Mapping[str, str]
    commands: tuple[str, ...]
    kernel_line: str

    @property
    def has_disk(self) -> bool:
        """A container has no disk of its own, no kernel and no boot loader."""
        return self.provider in KERNELS

    @property
    def digest(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def plan(provider: str = "libvirt", architecture: str = "amd64") -> Recipe:
    """The recipe for one provider. Raises NotSupported for what cannot be made."""
    if provider not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        raise errors.NotSupported(f"there is no box for {provider!r}", hint=f"choose of {known}")
    if architecture not in ARCHITECTURES or (provider != "lxc" and architecture != "amd64"):
        raise errors.NotSupported(
            f"no {provider} box can be made for {architecture!r}",
            hint="libvirt and virtualbox boxes are amd64; lxc boxes amd64 or arm64",
        )
    return Recipe(
        provider,
        architecture,
        SUITE,
        plan_packages(provider, architecture),
        plan_files(provider),
        plan_commands(provider),
        plan_kernel_line(provider),
    )


def plan_kernel_line(provider: Provider) -> str:
    """What the boot loader tells the kernel; a container has neither."""
    if provider not in KERNELS:
        return ""
    return f"root={ROOT_DEVICES[provider]} ro quiet net.ifnames=0 console=tty0 console=ttyS0"


def plan_packages(provider: Provider, architecture: Architecture) -> tuple[str, ...]:
    """What labkit calls on a machine, what makes it a machine, and its kernel."""
    called = [package.name for package in packages.PACKAGES if not package.rootless_only]
    kernel = [f"{KERNELS[provider]}-{architecture}"] if provider in KERNELS else []
    return tuple(dict.fromkeys([*called, *NODE, *kernel]))


def plan_files(provider: Provider) -> dict[str, str]:
    """Every file that no package brings, by its path in the box."""
    units = "etc/systemd/system"
    files = {
        "etc/hostname": "labkit\n",
        "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 labkit\n",
        "etc/resolv.conf": "",
        "etc/default/locale": "LANG=C.UTF-8\n",
        "etc/sudoers.d/vagrant": _SUDOERS,
        "etc/ssh/sshd_config.d/labkit.conf": _SSHD,
        "etc/systemd/network/10-eth0.network": _NETWORK,
        f"{units}/own-host-keys.service": _HOST_KEYS,
        f"{units}/same-addresses.service": _EMULATED,
        "home/vagrant/.ssh/authorized_keys": f"{VAGRANT_KEY}\n",
    }
    if provider == "lxc":
        files[f"{units}/leave-private-network.service"] = _UNPLUG
    if provider in KERNELS:
        files |= {
            "etc/fstab": f"{ROOT_DEVICES[provider]} / ext4 errors=remount-ro 0 1\n",
            "etc/initramfs-tools/modules": "".join(f"{each}\n" for each in BOOT_MODULES[provider]),
            "etc/initramfs-tools/conf.d/labkit": "MODULES=list\n",
        }
    return files


def plan_commands(provider: Provider) -> tuple[str, ...]:
    """What is run in the box as root, in order, when its packages and files are there."""
    return (
        "useradd --create-home --shell /bin/bash vagrant",
        "chown -R vagrant: /home/vagrant",
        "chmod 700 /home/vagrant/.ssh",
        "chmod 600 /home/vagrant/.ssh/authorized_keys",
        "chmod 440 /etc/sudoers.d/vagrant",
        *(f"systemctl enable {name}" for name in _SERVICES),
        *(("systemctl enable leave-private-network.service",) if provider == "lxc" else ()),
        f"systemctl mask {' '.join(_TIMERS)}",
        *(("update-initramfs -u -k all",) if provider in KERNELS else ()),
        # What must differ from machine to machine is made when it first starts.
        "rm -f /etc/ssh/ssh_host_*",
        ": > /etc/machine-id",
        "rm -f /var/lib/dbus/machine-id",
        # Half of a lean Debian is not needed to run it.
        "apt-get clean",
        "rm -rf /var/lib/apt/lists/* /var/log/*.log /usr/share/man/* /usr/share/info/*",
        "find /usr/share/doc -type f ! -name copyright -delete",
        "find /usr/share/locale -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +",
    )
