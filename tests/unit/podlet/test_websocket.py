"""WebSocket without a socket: frames in any pieces become the messages that were sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.podlet import channels, remotecommand, sessions, websocket

MASK = b"\x01\x02\x03\x04"


def client_frame(payload: bytes, opcode: int = websocket.BINARY, *, final: bool = True) -> bytes:
    """As a client sends it: what a server would send, with a mask."""
    plain = websocket.render_frame(payload, opcode)
    head = plain[: len(plain) - len(payload)]
    first = bytes([head[0] if final else head[0] & 0x7F, head[1] | 0x80])
    return first + head[2:] + MASK + websocket.unmask(payload, MASK)


@given(
    drawn=st.lists(st.binary(max_size=300) | st.just(70_000), max_size=4),
    size=st.integers(1, 5000),
)
def test_any_pieces_make_the_same_messages(drawn: list[bytes | int], size: int) -> None:
    # A number stands for so many bytes: hypothesis warns of examples too long to be printed.
    messages = [b"x" * each if isinstance(each, int) else each for each in drawn]
    wire = b"".join(map(client_frame, messages))
    reader = websocket.Reader()
    found = [
        message
        for begin in range(0, len(wire), size)
        for message in reader.feed(wire[begin : begin + size])
    ]
    assert found == [websocket.Message(websocket.BINARY, each) for each in messages]


def test_a_message_in_frames_with_a_ping_between() -> None:
    wire = (
        client_frame(b"one ", final=False)
        + client_frame(b"?", websocket.PING)
        + client_frame(b"two", opcode=0)
    )
    assert list(websocket.Reader().feed(wire)) == [
        websocket.Message(websocket.PING, b"?"),
        websocket.Message(websocket.BINARY, b"one two"),
    ]


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (websocket.render_frame(b"bare"), "mask"),
        (client_frame(b"x", opcode=0), "begins within"),
        (client_frame(b"x", final=False) + client_frame(b"y"), "begins within"),
        (b"\x82\xff" + (1 << 40).to_bytes(8, "big"), "more than"),
    ],
)
def test_what_is_not_websocket_is_noticed(wire: bytes, words: str) -> None:
    with pytest.raises(websocket.ProtocolError, match=words):
        list(websocket.Reader().feed(wire))


def test_the_first_protocol_that_both_speak() -> None:
    headers = {"upgrade": "WebSocket", "sec-websocket-protocol": "v9, v4.channel.k8s.io"}
    assert websocket.choose_protocol(headers, channels.PROTOCOLS) == "v4.channel.k8s.io"
    assert sessions.choose_protocol(headers) == "v4.channel.k8s.io"
    with pytest.raises(errors.ApiError, match=r"not SPDY; use kubectl 1\.31 or later"):
        sessions.choose_protocol({"upgrade": "SPDY/3.1"})
    agreed = websocket.render_agreement({"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}, "v4")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in agreed


class TestQuery:
    def test_what_is_asked(self) -> None:
        found = remotecommand.parse_query("/exec/default/a/main?command=echo&command=&output=1")
        assert found == remotecommand.Query("default", "a", "main", ("echo", ""), stdout=True)

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("/exec/default/a", "not found"),
            ("/exec/default/a/main?output=1", "at least 1 command"),
            ("/exec/default/a/main?command=ls", "at least 1 of stdin, stdout, stderr"),
        ],
    )
    def test_what_is_not_enough(self, target: str, words: str) -> None:
        with pytest.raises(errors.ApiError, match=words):
            remotecommand.parse_query(target)


def test_how_it_ended() -> None:
    assert sessions.render_status(0)["status"] == "Success"
    told = sessions.render_status(3)
    assert told["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
