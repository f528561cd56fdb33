"""The file that Wireshark reads: blocks, each with its kind and its length at both ends.

    section header     0A0D0D0A, byte order, version 1.0
    interface          link type, snapshot length; its name is the node's, times in nanoseconds
    packet             interface, time in two halves, both lengths, data, a comment: the node

Numbers are little-endian, and everything is padded to four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from labkit.inspection.capture import pcap

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_END, _COMMENT, _NAME, _RESOLUTION = 0, 1, 2, 9
_NANOSECONDS = b"\x09"


def render(packets: Iterable[pcap.Packet]) -> bytes:
    """One file of all packets in the order of their times."""
    ordered = sorted(packets, key=lambda packet: packet.time_ns)
    sources = list(dict.fromkeys((packet.node, packet.link_type) for packet in ordered))
    blocks = [_block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1))]
    for node, link_type in sources:
        options = _options((_NAME, node.encode()), (_RESOLUTION, _NANOSECONDS))
        blocks.append(_block(_INTERFACE, struct.pack("<HHI", link_type, 0, 0) + options))
    for packet in ordered:
        number = sources.index((packet.node, packet.link_type))
        blocks.append(_block(_PACKET, _packet(number, packet)))
    return b"".join(blocks)


def _packet(interface: int, packet: pcap.Packet) -> bytes:
    high, low = divmod(packet.time_ns, 1 << 32)
    head = struct.pack("<5I", interface, high, low, len(packet.data), packet.length)
    return head + _padded(packet.data) + _options((_COMMENT, packet.node.encode()))


def _options(*options: tuple[int, bytes]) -> bytes:
    listed = b"".join(
        struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options
    )
    return listed + struct.pack("<HH", _END, 0)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
