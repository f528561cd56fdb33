"""What a machine has of its own: a folder with its /etc, /var and /root, kept between runs.

/etc is made of the few files of the learner's machine that programs need to start (no accounts, no
secrets), and of files written for this machine. Those are written anew at each start, so that a
restart mends an sshd_config that a learner broke.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from labkit import paths
from labkit.model import spec
from labkit.ssh import keys

HOST_KEY = "etc/ssh/ssh_host_ed25519_key"

#: From the learner's /etc: the dynamic linker, Debian's alternatives, names of numbers.
SHARED = (
    "alternatives",
    "bash.bashrc",
    "debian_version",
    "ethertypes",
    "iproute2",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "nsswitch.conf",
    "os-release",
    "profile",
    "protocols",
    "services",
    "ssl/openssl.cnf",
)
_MANUALS = ".gz"  # half of /etc/alternatives
FOLDERS = ("etc/ssh", "root/.ssh", "var/lib", "var/log", "var/tmp", "var/cache", "var/spool")

SSHD_CONFIG = """\
# Written by labkit at each start of this machine.
ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
AuthenticationMethods publickey
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
AcceptEnv LANG LC_*
MaxSessions 64
Subsystem sftp internal-sftp
"""

# `*` in the password field locks an account for sshd when PAM is off; `NP` is just no password.
SHADOW = "root:NP:20000:0:99999:7:::\n"
ACCOUNTS = """\
root:x:0:0:root:/root:/bin/bash
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
tcpdump:x:101:101::/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUPS = "root:x:0:\ntty:x:5:\ntcpdump:x:101:\nnogroup:x:65534:\n"


def plan_files(node: spec.NodeSpec, lab: spec.LabSpec, authorized_key: str) -> Mapping[str, str]:
    """Return path -> text of what is written for this one machine."""
    hosts = [f"{machine.address}\t{machine.name}" for machine in lab.nodes]
    return {
        "etc/hostname": f"{node.name}\n",
        "etc/hosts": "\n".join(["127.0.0.1\tlocalhost", *hosts, ""]),
        "etc/passwd": ACCOUNTS,
        "etc/group": GROUPS,
        "etc/shadow": SHADOW,
        "etc/resolv.conf": "# The lab has no name server.\n",
        "etc/ssh/sshd_config": SSHD_CONFIG,
        "root/.ssh/authorized_keys": f"{authorized_key}\n",
    }


def ensure_disk(
    folder: Path, node: spec.NodeSpec, lab: spec.LabSpec, authorized_key: str, *, etc: Path
) -> None:
    """Make the machine's folder complete. What it wrote itself stays; `etc` is the learner's."""
    fresh = not (folder / HOST_KEY).exists()
    if fresh:  # or a crash left it half made
        shutil.rmtree(folder, ignore_errors=True)
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("root", "root/.ssh"):
        (folder / name).chmod(0o700)
    if fresh:
        _copy_shared(etc, folder / "etc")
        (folder / "var/log/lastlog").touch()  # sshd complains at each login without it
    for path, text in plan_files(node, lab, authorized_key).items():
        private = path.startswith(("root/", "etc/shadow"))
        paths.ensure_file(folder / path, text, 0o600 if private else 0o644)
    if fresh:  # last, because it marks a complete folder
        pair = keys.generate_ed25519()
        (folder / f"{HOST_KEY}.pub").write_text(f"{pair.public}\n")
        keys.write_key(folder / HOST_KEY, pair.private_openssh)


def host_key(folder: Path) -> str:
    """The machine's public host key, or nothing before it has a disk."""
    public = folder / f"{HOST_KEY}.pub"
    return public.read_text().strip() if public.exists() else ""


def _copy_shared(source: Path, target: Path) -> None:
    """Copy what there is of SHARED; a symbolic link stays one.

    Not by shutil.copytree, which turns a disk that is full into an error of its own.
    """
    for path in (found for name in SHARED for found in _all_below(source / name)):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy, follow_symlinks=False)


def _all_below(path: Path) -> Iterator[Path]:
    """The file itself, or all files in a folder; none where there is nothing."""
    if not path.is_dir():
        yield from [path] if path.exists() else []
        return
    for each in path.rglob("*"):
        if each.suffix != _MANUALS and (each.is_symlink() or each.is_file()):
            yield each
