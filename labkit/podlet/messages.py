"""Messages over a TLS connection that has become a WebSocket, for one thread that serves it."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping

from labkit.podlet import websocket

_PIECE = 64 * 1024
_NORMAL = (1000).to_bytes(2, "big")


class Messages:
    """The server's end. Reading never blocks, and writing may."""

    def __init__(self, sock: ssl.SSLSocket, headers: Mapping[str, str], protocol: str) -> None:
        self._sock = sock
        self._reader = websocket.Reader()
        self.is_over = False
        sock.sendall(websocket.render_agreement(headers, protocol))

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, payload: bytes) -> None:
        self._send(websocket.render_frame(payload))

    def receive(self) -> Iterator[bytes]:
        """What has arrived. Raises ProtocolError."""
        for message in self._reader.feed(self._read()):
            if message.opcode == websocket.PING:
                self._send(websocket.render_frame(message.payload, websocket.PONG))
            elif message.opcode == websocket.CLOSE:
                self.is_over = True
            elif message.opcode == websocket.BINARY and message.payload:
                yield message.payload

    def close(self, patience_s: float) -> None:
        """Say goodbye, and wait until it is answered: who hangs up at once cuts off what is sent.

        (What lies unread when a socket closes makes the kernel send a reset, and a reset makes the
        other side forget what it has not read yet.)
        """
        with contextlib.suppress(OSError):
            self._send(websocket.render_frame(_NORMAL, websocket.CLOSE))
            self._sock.settimeout(patience_s)
            while not self.is_over and self._sock.recv(_PIECE):
                pass

    def _send(self, data: bytes) -> None:
        self._sock.settimeout(None)
        self._sock.sendall(data)

    def _read(self) -> bytes:
        """All that can be had without waiting; TLS may hold back what epoll cannot see."""
        self._sock.settimeout(0)
        found = b""
        with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
            while piece := self._sock.recv(_PIECE):
                found += piece
                if not self._sock.pending():
                    return found
            self.is_over = True
        return found
