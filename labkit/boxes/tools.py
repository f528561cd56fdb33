"""The programs that make a box, and the Debian packages that bring them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labkit import local
from labkit.boxes import recipe
from labkit.preflight import packages

GRUB = Path("/usr/lib/grub/i386-pc")

_ALL = (
    packages.Package("debootstrap", ("debootstrap",), "unpacks Debian's packages into a folder"),
    packages.Package("util-linux", ("unshare",), "lets a mount end with the program that made it"),
)
_DISK = (
    packages.Package("e2fsprogs", ("mke2fs",), "writes a folder as a file system"),
    packages.Package("grub-common", ("grub-mkimage",), "puts grub's core together"),
    packages.Package("grub-pc-bin", (f"{GRUB}/boot.img",), "grub's parts for a PC"),
    packages.Package("qemu-utils", ("qemu-img",), "turns a disk into each provider's format"),
)


def wanted(provider: str) -> tuple[packages.Package, ...]:
    return _ALL if provider == "lxc" else _ALL + _DISK


def is_here(program: str) -> bool:
    """Whether there is such a program; one with a path may be a file that only grub runs."""
    return Path(program).is_file() if program.startswith("/") else local.has(program)


def plan_missing(
    what: recipe.Recipe, is_here: Callable[[str], bool] = is_here
) -> tuple[packages.Package, ...]:
    """The packages without which this recipe cannot be followed here."""
    return tuple(
        package for package in wanted(what.provider) if not all(map(is_here, package.programs))
    )
