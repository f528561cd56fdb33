"""The messages of connection tracking that bring no entry."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from labkit.agent import conntrack

ENTRY, ERROR, DONE = 1 << 8, 2, 3


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def entry(family: int = socket.AF_INET, attributes: bytes = b"") -> bytes:
    return message(ENTRY, struct.pack("=BBH", family, 0, 0) + attributes)


def test_a_dump_ends_where_the_kernel_says_so() -> None:
    assert list(conntrack.parse_dump(message(DONE) + entry())) == [None]


def test_a_dump_that_is_refused_says_why() -> None:
    refusal = message(ERROR, struct.pack("=i", -errno.EPERM))
    with pytest.raises(PermissionError):
        list(conntrack.parse_dump(refusal))


def test_an_entry_without_ports_is_passed_over() -> None:
    """Those of ICMP, for one. An attribute that claims to have no length ends the entry."""
    assert list(conntrack.parse_dump(entry() + entry(attributes=bytes(8)))) == []


@pytest.mark.parametrize("answer", [b"", message(ERROR, struct.pack("=i", -errno.ENOENT)), entry()])
def test_nothing_is_known_of_a_datagram(answer: bytes) -> None:
    assert conntrack.parse_answer(answer) is None
