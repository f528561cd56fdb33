"""The disk of a virtual machine: how a PC finds its first program, written byte by byte.

    sector 0         the master boot record: 440 bytes of code, and a table of four partitions
    sectors 1-2047   grub's core, which that code loads; it knows ext4 and reads the kernel itself
    sector 2048      the only partition, an ext4 file system with everything else

`mke2fs -d FOLDER -E offset=...` writes the last part straight into the image, so nothing has to be
mounted. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import struct

from labkit import errors

SECTOR = 512
FIRST_SECTOR = 2048
#: What a machine can grow to. The image is sparse: it takes what is in it.
SIZE_GB = 8

_CODE = 440
_ACTIVE = 0x80
_LINUX = 0x83
#: Cylinders, heads and sectors mean nothing beyond 8 GB; these say "use the number of the sector".
_NO_GEOMETRY = b"\xfe\xff\xff"


def sectors(size_bytes: int) -> int:
    return size_bytes // SECTOR


def render_mbr(boot: bytes, *, total_sectors: int, signature: int) -> bytes:
    """Sector 0: grub's `boot` code and one active Linux partition up to the end of the disk."""
    entry = struct.pack(
        "<B3sB3sII",
        _ACTIVE,
        _NO_GEOMETRY,
        _LINUX,
        _NO_GEOMETRY,
        FIRST_SECTOR,
        total_sectors - FIRST_SECTOR,
    )
    code = boot[:_CODE].ljust(_CODE, b"\0")
    return code + struct.pack("<IH", signature, 0) + entry + bytes(48) + b"\x55\xaa"


def parse_mbr(sector: bytes) -> tuple[tuple[int, int, int], ...]:
    """(type, first sector, sectors) of each partition. Raises ConfigError for no boot record."""
    if len(sector) < SECTOR or sector[510:512] != b"\x55\xaa":
        raise errors.ConfigError("this is no master boot record: it does not end with 55 aa")
    found = (struct.unpack_from("<B3sB3sII", sector, 446 + 16 * index) for index in range(4))
    return tuple((kind, first, count) for _, _, kind, _, first, count in found if kind)


def render_head(boot: bytes, core: bytes, *, size_bytes: int, signature: int) -> bytes:
    """All that comes before the partition. grub's `core` says itself where it continues: sector 2.

    Raises NotSupported for a core that does not fit.
    """
    room = (FIRST_SECTOR - 1) * SECTOR
    if len(core) > room:
        raise errors.NotSupported(f"grub's core has {len(core)} bytes; there is room for {room}")
    mbr = render_mbr(boot, total_sectors=sectors(size_bytes), signature=signature)
    return mbr + core.ljust(room, b"\0")


def render_grub(kernel_line: str) -> str:
    """What grub does at once, without a menu. Debian keeps both links at the newest kernel."""
    return f"set root=(hd0,msdos1)\nlinux /vmlinuz {kernel_line}\ninitrd /initrd.img\nboot\n"
