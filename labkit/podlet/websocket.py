"""WebSocket, the server's side of it, without a socket: how an HTTP connection becomes messages.

    GET /exec/default/app1-1/echo HTTP/1.1      HTTP/1.1 101 Switching Protocols
    Connection: Upgrade                         Connection: Upgrade
    Upgrade: websocket                          Upgrade: websocket
    Sec-WebSocket-Key: dGhl...                  Sec-WebSocket-Accept: s3pP...

From then on both sides send frames: one byte that says what it is and whether the message ends with
it, one or more with the length, and from the client a mask of four bytes, with which all that
follows is XORed (so that no proxy on the way takes it for HTTP). RFC 6455.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_CONTINUED = 0
#: Opcodes from here on control the connection itself; they come between the frames of a message.
_CONTROL = 8
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FINAL, _MASKED = 0x80, 0x80
#: Nobody sends so much in one message; a length like this is a mistake, or an attack.
_MAX = 16 * 1024 * 1024


class ProtocolError(Exception):
    """What came is not WebSocket, and nothing after it can be understood."""


@dataclass(frozen=True, slots=True)
class Message:
    """What came whole: what kind it is of, and what it says."""

    opcode: int
    payload: bytes


def accept_key(key: str) -> str:
    """Prove that the request was read by somebody who speaks WebSocket.

    >>> accept_key("dGhlIHNhbXBsZSBub25jZQ==")
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def choose_protocol(headers: Mapping[str, str], spoken: tuple[str, ...]) -> str:
    """The first of the protocols that are spoken here which the client offers too; else empty."""
    if "websocket" not in headers.get("upgrade", "").lower():
        return ""
    offered = [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]
    return next((each for each in spoken if each in offered), "")


def render_agreement(headers: Mapping[str, str], protocol: str) -> bytes:
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(headers.get('sec-websocket-key', ''))}",
        f"Sec-WebSocket-Protocol: {protocol}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def render_frame(payload: bytes, opcode: int = BINARY) -> bytes:
    """One whole message; a server does not mask."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([_FINAL | opcode]) + length + payload


def unmask(payload: bytes, mask: bytes) -> bytes:
    """XOR with the mask over and over, as one large number: the same twice is nothing at all."""
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")


class Reader:
    """Makes messages of what a client sends, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode = _CONTINUED
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield every message that is whole by now. Raises ProtocolError."""
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            final, opcode, payload = frame
            if opcode >= _CONTROL:
                yield Message(opcode, payload)
                continue
            if (opcode == _CONTINUED) != bool(self._opcode):
                raise ProtocolError("a message begins within another, or goes on after its end")
            self._opcode = self._opcode or opcode
            self._parts.append(payload)
            if sum(map(len, self._parts)) > _MAX:
                raise ProtocolError(f"a message has more than {_MAX} bytes")
            if final:
                yield Message(self._opcode, b"".join(self._parts))
                self._opcode, self._parts = _CONTINUED, []

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        """Whether it is the last of its message, what it is, and what it says; None: not whole."""
        found = self._buffer
        if len(found) < 2:
            return None
        if not found[1] & _MASKED:
            raise ProtocolError("a client has to mask what it sends")
        size, begin = found[1] & 0x7F, 2
        if size >= 126:
            begin = 4 if size == 126 else 10
            if len(found) < begin:
                return None
            size = int.from_bytes(found[2:begin], "big")
        if size > _MAX:
            raise ProtocolError(f"a frame has more than {_MAX} bytes")
        end = begin + 4 + size
        if len(found) < end:
            return None
        final, opcode = bool(found[0] & _FINAL), found[0] & 0x0F
        payload = unmask(bytes(found[begin + 4 : end]), bytes(found[begin : begin + 4]))
        del self._buffer[:end]
        return final, opcode, payload
