"""The file that tcpdump writes: one header, then each packet with its time and its length.

    magic (4)  version (4)  zone (4)  accuracy (4)  snapshot length (4)  link type (4)
    seconds (4)  fraction (4)  captured length (4)  length on the wire (4)  data ...

The magic number tells the byte order, and whether fractions are micro- or nanoseconds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from labkit import errors

_HEADER_BYTES = 24
_RECORD_BYTES = 16
#: Nanoseconds in a fraction, by the magic number.
_SCALES = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}


@dataclass(frozen=True, slots=True)
class Packet:
    """`time_ns` since 1970 by the clock of `node`. `length` on the wire; `data` may be shorter."""

    node: str
    time_ns: int
    link_type: int
    length: int
    data: bytes


def parse(node: str, content: bytes) -> tuple[Packet, ...]:
    """The packets of one file; a last one that is cut off is left out. Raises CommandFailed."""
    for order in "<>":
        if len(content) >= _HEADER_BYTES:
            (magic,) = struct.unpack_from(f"{order}I", content)
            if magic in _SCALES:
                return _parse(node, content, order, _SCALES[magic])
    raise errors.LabkitError(f"tcpdump on {node} wrote no packets' file")


def _parse(node: str, content: bytes, order: str, scale: int) -> tuple[Packet, ...]:
    (link_type,) = struct.unpack_from(f"{order}I", content, 20)
    found, place = list[Packet](), _HEADER_BYTES
    while place + _RECORD_BYTES <= len(content):
        seconds, fraction, kept, length = struct.unpack_from(f"{order}4I", content, place)
        place += _RECORD_BYTES
        if place + kept > len(content):
            break
        time_ns = seconds * 1_000_000_000 + fraction * scale
        found.append(Packet(node, time_ns, link_type, length, content[place : place + kept]))
        place += kept
    return tuple(found)
