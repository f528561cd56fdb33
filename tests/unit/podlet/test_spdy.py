"""SPDY without a socket: the frames of a port-forward, as kubectl sends them."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.podlet import forward, remotecommand, spdy


class Client:
    """What kubectl's side of the connection says."""

    def __init__(self) -> None:
        self._compress = zlib.compressobj(zdict=spdy.DICTIONARY)

    def open(self, stream: int, **headers: str) -> bytes:
        words = [each for pair in headers.items() for each in pair]
        plain = struct.pack(">I", len(headers)) + b"".join(
            struct.pack(">I", len(each)) + each.encode() for each in words
        )
        block = self._compress.compress(plain) + self._compress.flush(zlib.Z_SYNC_FLUSH)
        payload = struct.pack(">IIH", stream, 0, 0) + block
        return struct.pack(">HHI", 0x8003, 1, len(payload)) + payload


def test_the_dictionary_is_the_protocols_own() -> None:
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


@given(size=st.integers(1, 200))
def test_any_pieces_make_the_same_events(size: int) -> None:
    client = Client()
    wire = (
        client.open(1, streamType="error", port="8080", requestID="0")
        + client.open(3, streamType="data", port="8080", requestID="0")
        + spdy.render_data(3, b"x" * 300)
        + spdy.render_ping(7)
        + spdy.render_data(3, b"", is_last=True)
        + spdy.render_reset(1)
    )
    server = spdy.Connection()
    found = [
        event
        for begin in range(0, len(wire), size)
        for event in server.feed(wire[begin : begin + size])
    ]
    common = {"port": "8080", "requestid": "0"}
    assert found == [
        spdy.Opened(1, {"streamtype": "error", **common}),
        spdy.Opened(3, {"streamtype": "data", **common}),
        spdy.Data(3, b"x" * 300, is_last=False),
        spdy.Ping(7),
        spdy.Data(3, b"", is_last=True),
        spdy.Reset(1),
    ]


def test_an_agreement_can_be_read_by_the_other_side() -> None:
    reply = spdy.Connection().render_reply(5)
    assert struct.unpack(">HHII", reply[:12]) == (0x8003, 2, len(reply) - 8, 5)
    assert zlib.decompressobj(zdict=spdy.DICTIONARY).decompress(reply[12:]) == bytes(4)


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (struct.pack(">HHI", 0x8002, 1, 0), "not SPDY/3"),
        (struct.pack(">HHI", 0x8003, 1, 14) + bytes(10) + b"oops", "cannot be read"),
    ],
)
def test_what_is_not_spdy_is_noticed(wire: bytes, words: str) -> None:
    with pytest.raises(spdy.ProtocolError, match=words):
        list(spdy.Connection().feed(wire))


def test_which_pod() -> None:
    assert remotecommand.parse_pod("/portForward/default/a?x=y") == ("default", "a")
    with pytest.raises(errors.ApiError, match="not found"):
        remotecommand.parse_pod("/portForward/a")


def test_what_else_a_client_may_speak_is_refused_with_advice() -> None:
    with pytest.raises(errors.ApiError, match=r"use kubectl 1\.31 or later"):
        forward.serve("a", None, {"upgrade": "SPDY/3.1"}, None)  # type: ignore[arg-type]
