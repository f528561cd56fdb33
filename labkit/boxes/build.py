"""Make a box: five programs, one after the other, in a folder that is gone afterwards.

    debootstrap -> the recipe's files and commands -> mke2fs, grub-mkimage -> qemu-img -> tar

Root is needed, for a file system that belongs to root. What debootstrap mounts, it mounts in a
mount namespace that ends with it, so the folder can always be removed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from labkit import errors, local, system
from labkit.boxes import disk, package, recipe, tools
from labkit.model import events

#: A slow mirror, an emulated machine.
STEP_TIMEOUT_S = 1800.0
STEPS = 4

_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux", "boot")
_OWN_MOUNTS = ("unshare", "--mount", "--pid", "--fork", "--kill-child")


def build(what: recipe.Recipe, target: Path, progress: events.Progress, mirror: str = "") -> None:
    """Write the box to `target`, whole or not at all.

    Raises NotSupported without root, CommandFailed, DiskFull.
    """
    if not system.is_root():
        raise errors.NotSupported(
            "a box can only be built as root: its files belong to root",
            hint="sudo -E labkit box build",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as folder:
        work = Path(folder)
        root = work / "rootfs"
        with progress.step("unpack Debian"):
            run([*_OWN_MOUNTS, *plan_debootstrap(what, root, mirror)])
        with progress.step("make it a machine"):
            configure(what, root)
        with progress.step("write the disk"):
            files = write_payload(what, root, work)
        with progress.step("pack the box"):
            fresh = work / "fresh.box"
            run(["tar", "-C", str(work), "-I", "gzip -4", "-cf", str(fresh), *files])
            fresh.replace(target)


def run(argv: Sequence[str]) -> str:
    """One program, to its end. Raises DiskFull where that is why it failed."""
    try:
        return local.run(argv, timeout_s=STEP_TIMEOUT_S).stdout
    except errors.CommandFailed as error:
        if "No space left on device" in str(error) or "not enough space" in str(error).lower():
            raise errors.DiskFull(str(error), hint="free some, or set XDG_CACHE_HOME") from error
        raise


def plan_debootstrap(what: recipe.Recipe, root: Path, mirror: str) -> tuple[str, ...]:
    include = ",".join(what.packages)
    return (
        "debootstrap",
        "--variant=minbase",
        f"--arch={what.architecture}",
        f"--include={include}",
        what.suite,
        str(root),
        *([mirror] if mirror else []),
    )


def configure(what: recipe.Recipe, root: Path) -> None:
    """The recipe's own files and commands."""
    for name, text in what.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    script = "set -eu\nmount -t proc proc /proc\n" + "\n".join(what.commands)
    environment = (
        "env",
        "-i",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL=C.UTF-8",
        "HOME=/root",
    )
    run([*_OWN_MOUNTS, *environment, "chroot", str(root), "sh", "-c", script])


def write_payload(what: recipe.Recipe, root: Path, work: Path) -> list[str]:
    """Write all files of the box into `work`; return their names, the small ones first."""
    texts = package.render(what)
    for name, text in texts.items():
        (work / name).write_text(text)
    payload = package.PAYLOADS[what.provider]
    if what.has_disk:
        write_disk(what, root, work / "disk.raw")
        shutil.rmtree(root)
        convert(what.provider, work / "disk.raw", work / payload)
        (work / "disk.raw").unlink()
    else:
        # With the extended attributes: what `ping` may do as a user is kept in one. vagrant-lxc
        # takes the first two parts off each name.
        keep = ("--xattrs", "--xattrs-include=*", "--numeric-owner")
        target = ("-I", "gzip -4", "-cf", str(work / payload))
        run(["tar", "-C", str(root.parent), *keep, *target, f"./{root.name}"])
    return [*texts, payload]


def write_disk(what: recipe.Recipe, root: Path, image: Path) -> None:
    """Boot record, boot loader and file system, each at its place."""
    size = disk.SIZE_GB * 2**30
    begin = disk.FIRST_SECTOR * disk.SECTOR
    with image.open("wb") as file:
        file.truncate(size)
    # The guest shall not spend its first minutes on writing zeros.
    options = f"offset={begin},lazy_itable_init=0,lazy_journal_init=0"
    kilobytes = (size - begin) // 1024
    form = ("-q", "-F", "-t", "ext4", "-m", "1", "-E", options)
    run(["mke2fs", *form, "-d", str(root), str(image), f"{kilobytes}k"])
    core = _make_grub_core(what, image.parent)
    boot = (tools.GRUB / "boot.img").read_bytes()
    signature = int.from_bytes(os.urandom(4), "little")
    with image.open("r+b") as file:
        file.write(disk.render_head(boot, core, size_bytes=size, signature=signature))


def _make_grub_core(what: recipe.Recipe, work: Path) -> bytes:
    config, core = work / "grub.cfg", work / "core.img"
    config.write_text(disk.render_grub(what.kernel_line))
    place = ["-p", "(hd0,msdos1)/boot/grub", "-c", str(config), "-o", str(core)]
    run(["grub-mkimage", "-O", "i386-pc", *place, *_GRUB_MODULES])
    return core.read_bytes()


def convert(provider: recipe.Provider, image: Path, target: Path) -> None:
    form = ["vmdk", "-o", "subformat=streamOptimized"] if provider == "virtualbox" else ["qcow2"]
    run(["qemu-img", "convert", "-f", "raw", "-O", *form, str(image), str(target)])
