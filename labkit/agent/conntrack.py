"""Connection tracking: where a datagram was sent to, and flows that are led where nobody listens.

For TCP a socket can tell (SO_ORIGINAL_DST). For UDP one has to ask the table of connection tracking
itself, over a netlink socket. Each entry has two tuples, the flow as it was sent and as its answers
come back:

    original   10.244.1.7:51324 -> 10.96.0.10:53         what the client wrote
    reply      10.244.1.1:40193 -> 10.244.1.7:51324      what we see: our proxy port, and the client

To find a destination, we know the second and ask for the first. And the second tells which proxy
port a flow was given when it began: rules are asked once per flow, so a client that goes on sending
from one port is led there for ever, whatever the rules say by now. Such flows are forgotten here.

A netlink message is a head and attributes, each of them a length, a type, and a value or attributes
again (linux/netfilter/nfnetlink_conntrack.h).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Address = tuple[str, int]

_NETLINK_NETFILTER = 12
_REQUEST, _ACKNOWLEDGE, _DUMP = 1, 4, 0x300
_ERROR, _DONE = 2, 3
#: Subsystem 1 is connection tracking; message 0 says what an entry is, 1 asks for it, 2 deletes it.
_NEW, _GET, _DELETE = 1 << 8, 1 << 8 | 1, 1 << 8 | 2
#: The kernel answers a dump in pieces of at most so many bytes.
_PIECE = 1 << 16
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


@dataclass(frozen=True, slots=True)
class Flow:
    """An entry: where it was sent to, and the port that its answers come from."""

    protocol: int
    destination: Address
    answers_from: int
    #: The original tuple as the kernel wrote it: its name for the entry.
    original: bytes


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
    return _message(_GET, _REQUEST, _attribute(_REPLY | _NESTED, reply))


def parse_answer(message: bytes) -> Address | None:
    """The destination of the original tuple; None when there is no such entry."""
    if len(message) < _HEAD.size or _HEAD.unpack_from(message)[1] != _NEW:
        return None
    flow = _parse_flow(message[_HEAD.size + _FAMILY.size :])
    return flow.destination if flow else None


def parse_dump(data: bytes) -> Iterator[Flow | None]:
    """The entries of one piece of a dump; None where it ends. Raises OSError when refused."""
    while len(data) >= _HEAD.size:
        length, kind, *_ = _HEAD.unpack_from(data)
        if kind == _ERROR:
            raise _refusal(data)
        if kind == _DONE or length < _HEAD.size:
            yield None
            return
        if flow := _parse_flow(data[_HEAD.size + _FAMILY.size : length]):
            yield flow
        data = data[length + -length % 4 :]


def is_stale(flow: Flow, portals: Mapping[Address, int]) -> bool:
    """Whether it is a UDP flow to one of the portals, but led elsewhere than that says.

    A portal is where clients ask, with the proxy port that they shall be led to; 0 means: nowhere.
    """
    due = portals.get(flow.destination)
    return flow.protocol == socket.IPPROTO_UDP and due is not None and flow.answers_from != due


def forget_udp_flows(portals: Mapping[Address, int]) -> int:
    """Delete the stale flows; their clients' next datagrams meet the rules. Returns how many.

    Raises OSError without connection tracking, or when we may not ask it.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
        sock.bind((0, 0))
        sock.send(_message(_GET, _REQUEST | _DUMP))
        stale = [flow for flow in _receive_dump(sock) if is_stale(flow, portals)]
        for flow in stale:
            name = _attribute(_ORIGINAL | _NESTED, flow.original)
            sock.send(_message(_DELETE, _REQUEST | _ACKNOWLEDGE, name))
            with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
                _check(sock.recv(_PIECE))
    return len(stale)


def _receive_dump(sock: socket.socket) -> Iterator[Flow]:
    while True:
        for flow in parse_dump(sock.recv(_PIECE)):
            if flow is None:
                return
            yield flow


def _check(answer: bytes) -> None:
    """An acknowledgement is an error whose number is 0."""
    if (error := _refusal(answer)).errno:
        raise error


def _refusal(message: bytes) -> OSError:
    number = -struct.unpack_from("=i", message, _HEAD.size)[0]
    return OSError(number, os.strerror(number))


def _parse_flow(data: bytes) -> Flow | None:
    """None for what is not an entry of IPv4 with ports."""
    entry = dict(_attributes(data))
    original, reply = entry.get(_ORIGINAL, b""), entry.get(_REPLY, b"")
    ip = dict(_attributes(dict(_attributes(original)).get(_IP, b""))).get(_IP_DESTINATION)
    sent = dict(_attributes(dict(_attributes(original)).get(_PROTO, b"")))
    answered = dict(_attributes(dict(_attributes(reply)).get(_PROTO, b"")))
    port = sent.get(_PROTO_DESTINATION)
    if not ip or not port or len(ip) != 4:
        return None
    return Flow(
        protocol=int.from_bytes(sent.get(_PROTO_NUMBER, b"")),
        destination=(socket.inet_ntoa(ip), int.from_bytes(port)),
        answers_from=int.from_bytes(answered.get(_PROTO_SOURCE, b"")),
        original=original,
    )


def _message(kind: int, flags: int, attributes: bytes = b"") -> bytes:
    body = _FAMILY.pack(socket.AF_INET, 0, 0) + attributes
    return _HEAD.pack(_HEAD.size + len(body), kind, flags, 1, 0) + body


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
