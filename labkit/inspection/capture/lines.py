"""A packet in one line: when, where, which way, from whom to whom, and what it is.

12:00:00.000123 node1  tcp 10.244.1.2:40000 > 10.96.20.1:8080  SYN  0 bytes
"""

from __future__ import annotations

import datetime
import struct
from ipaddress import IPv4Address

from labkit.inspection.capture import pcap

_ETHERNET, _LINUX_SLL, _LINUX_SLL2 = 1, 113, 276
_IPV4 = 0x0800
_TCP, _UDP = 6, 17
_NAMES = {1: "icmp", 2: "igmp", _TCP: "tcp", _UDP: "udp"}
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")


def render(packet: pcap.Packet) -> str:
    seconds, nanoseconds = divmod(packet.time_ns, 1_000_000_000)
    clock = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%H:%M:%S")
    return f"{clock}.{nanoseconds // 1000:06} {packet.node}  {_describe(packet)}"


def _describe(packet: pcap.Packet) -> str:
    try:
        protocol, body = _unwrap(packet)
        if protocol != _IPV4:
            return f"protocol {protocol:#06x}  {packet.length} bytes"
        return _describe_ipv4(body)
    except (struct.error, IndexError):
        return f"a packet of {packet.length} bytes that is cut off"


def _unwrap(packet: pcap.Packet) -> tuple[int, bytes]:
    """What is within the frame, and its number."""
    data = packet.data
    if packet.link_type == _LINUX_SLL2:
        return struct.unpack_from("!H", data)[0], data[20:]
    if packet.link_type == _LINUX_SLL:
        return struct.unpack_from("!H", data, 14)[0], data[16:]
    if packet.link_type == _ETHERNET:
        return struct.unpack_from("!H", data, 12)[0], data[14:]
    return 0, b""


def _describe_ipv4(data: bytes) -> str:
    head = (data[0] & 15) * 4
    (total,) = struct.unpack_from("!H", data, 2)
    number = data[9]
    source, target = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    name, body = _NAMES.get(number, str(number)), data[head:]
    if number not in (_TCP, _UDP):
        return f"{name} {source} > {target}  {total - head} bytes"
    from_port, to_port = struct.unpack_from("!HH", body)
    ends = f"{name} {source}:{from_port} > {target}:{to_port}"
    if number == _UDP:
        return f"{ends}  {total - head - 8} bytes"
    flags = " ".join(flag for bit, flag in enumerate(_FLAGS) if body[13] >> bit & 1)
    return f"{ends}  {flags}  {total - head - (body[12] >> 4) * 4} bytes"
