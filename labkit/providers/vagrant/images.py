"""What libvirt keeps of a box: one image in its pool, on which all machines of that box stand.

vagrant-libvirt uploads it with the first machine, and from then on goes by its name alone. An
upload that was cut short, by a full disk or a power cut, leaves half an image under that name: no
machine on it ever boots. So a torn image is removed before machines are made, and the next `vagrant
up` uploads it again. It is shared by all labs, and another one may be uploading it just now: then
it grows, and is left alone.
"""

from __future__ import annotations

import os
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from labkit import local

#: vagrant-libvirt's own, where its options name no other pool and no other libvirt.
POOL, SYSTEM = "default", "qemu:///system"
#: Whoever uploads writes several times a second.
QUIET_S = 60.0


@dataclass(frozen=True, slots=True)
class Volume:
    """One file of a pool: its size in bytes, and when it was written, in seconds since 1970."""

    size: int
    written: float


def remove_torn(
    options: Mapping[str, object], *, quiet_s: float = QUIET_S, now: float | None = None
) -> tuple[str, ...]:
    """Remove images that are smaller than their boxes and have not grown for `quiet_s`.

    Returns their names. Does nothing where libvirt is not asked by `virsh` on this machine.
    """
    if not local.has("virsh"):
        return ()
    uri = str(options.get("uri") or os.environ.get("LIBVIRT_DEFAULT_URI") or SYSTEM)
    pool = str(options.get("storage_pool_name") or POOL)
    virsh = ("virsh", "-c", uri)
    now = time.time() if now is None else now
    removed = []
    for name, size in _boxes():
        said = local.run((*virsh, "vol-dumpxml", "--pool", pool, name), check=False)
        if said.exit_status:
            continue  # not uploaded yet
        volume = parse_volume(said.stdout)
        if volume and volume.size < size and now - volume.written >= quiet_s:
            local.run((*virsh, "vol-delete", "--pool", pool, name))
            removed.append(name)
    return tuple(removed)


def parse_volume(text: str) -> Volume | None:
    """Read what `virsh vol-dumpxml` writes; None where it does not tell how long the file is."""
    root = ET.fromstring(text)  # noqa: S314 - libvirt's own word
    size = root.findtext("physical")
    if size is None:
        return None
    return Volume(int(size), float(root.findtext("target/timestamps/mtime") or 0))


def _boxes() -> Iterator[tuple[str, int]]:
    """The images of all boxes that Vagrant has: the name in the pool, and the size in bytes.

    They lie in BOX/VERSION/libvirt/, and since Vagrant 2.4 in BOX/VERSION/ARCHITECTURE/libvirt/.
    """
    home = os.environ.get("VAGRANT_HOME")
    boxes = (Path(home) if home else Path.home() / ".vagrant.d") / "boxes"
    for path in sorted(boxes.glob("**/libvirt/*.img")):
        box, version = path.relative_to(boxes).parts[:2]
        yield f"{box}_vagrant_box_image_{version}_{path.name}", path.stat().st_size
