"""Ask connection tracking where a datagram was sent to, before a rule turned it.

For TCP a socket can tell (SO_ORIGINAL_DST). For UDP one has to ask the table of connection tracking
itself, over a netlink socket. Each entry has two tuples, the flow as it was sent and as its answers
come back:

    original   10.244.1.7:51324 -> 10.96.0.10:53         what the client wrote
    reply      10.244.1.1:40193 -> 10.244.1.7:51324      what we see: our proxy port, and the client

We know the second and ask for the first. A netlink message is a head and attributes, each of them
a length, a type, and a value or attributes again (linux/netfilter/nfnetlink_conntrack.h).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

Address = tuple[str, int]

_NETLINK_NETFILTER = 12
_REQUEST = 1
#: Subsystem 1 is connection tracking; its message 0 says what an entry is, 1 asks for one.
_NEW, _GET = 1 << 8, 1 << 8 | 1
_ORIGINAL, _REPLY = 1, 2  # attributes of an entry
_IP, _PROTO = 1, 2  # of a tuple
_IP_SOURCE, _IP_DESTINATION = 1, 2
_PROTO_NUMBER, _PROTO_SOURCE, _PROTO_DESTINATION = 1, 2, 3
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF

_HEAD = struct.Struct("=IHHII")
#: Address family, version, and a number that nobody uses.
_FAMILY = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")


def encode_question(ours: Address, client: Address, protocol: int = socket.IPPROTO_UDP) -> bytes:
    """The message that asks for the entry whose answers go from `ours` to `client`."""
    addresses = _attribute(_IP_SOURCE, socket.inet_aton(ours[0])) + _attribute(
        _IP_DESTINATION, socket.inet_aton(client[0])
    )
    ports = (
        _attribute(_PROTO_NUMBER, bytes([protocol]))
        + _attribute(_PROTO_SOURCE, ours[1].to_bytes(2))
        + _attribute(_PROTO_DESTINATION, client[1].to_bytes(2))
    )
    reply = _attribute(_IP | _NESTED, addresses) + _attribute(_PROTO | _NESTED, ports)
    body = _FAMILY.pack(socket.AF_INET, 0, 0) + _attribute(_REPLY | _NESTED, reply)
    return _HEAD.pack(_HEAD.size + len(body), _GET, _REQUEST, 1, 0) + body


def parse_answer(message: bytes) -> Address | None:
    """The destination of the original tuple; None when there is no such entry."""
    if len(message) < _HEAD.size or _HEAD.unpack_from(message)[1] != _NEW:
        return None
    entry = dict(_attributes(message[_HEAD.size + _FAMILY.size :]))
    original = dict(_attributes(entry.get(_ORIGINAL, b"")))
    ip = dict(_attributes(original.get(_IP, b""))).get(_IP_DESTINATION)
    port = dict(_attributes(original.get(_PROTO, b""))).get(_PROTO_DESTINATION)
    if not ip or not port or len(ip) != 4:
        return None
    return socket.inet_ntoa(ip), int.from_bytes(port)


def find_destination(ours: Address, client: Address) -> Address | None:
    """Where `client` sent the datagrams that arrive at `ours`. None: nothing is known of them.

    The kernel answers at once, in the same call that asks.
    """
    with (
        contextlib.suppress(OSError),  # no connection tracking, or we may not ask
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock,
    ):
        sock.bind((0, 0))
        sock.settimeout(0)
        sock.send(encode_question(ours, client))
        return parse_answer(sock.recv(4096))
    return None


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + padding


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + length]
        at += length + -length % 4
