"""Several streams over one connection: what `kubectl exec` speaks, `v5.channel.k8s.io`.

Each message begins with the number of its channel. kubectl sends what is typed on 0 and the size
of its window on 4; it gets the program's output on 1 and 2 and, at the very end, how it ended on 3.
Version 5 added that a stream can end: message 255 names the channel. (With version 4, which the
Python client speaks, a program never learns that its input is over.)
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping

from labkit.podlet import websocket

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_PIECE = 64 * 1024
_NORMAL = (1000).to_bytes(2, "big")


class Channels:
    """The server's end. One thread uses it: reading never blocks, and writing may."""

    def __init__(self, sock: ssl.SSLSocket, headers: Mapping[str, str], protocol: str) -> None:
        self._sock = sock
        self._reader = websocket.Reader()
        self.is_over = False
        sock.sendall(websocket.render_agreement(headers, protocol))

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, channel: int, data: bytes) -> None:
        self._send(websocket.render_frame(bytes([channel]) + data))

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """What has arrived: pairs of channel and data. Raises ProtocolError."""
        for message in self._reader.feed(self._read()):
            if message.opcode == websocket.PING:
                self._send(websocket.render_frame(message.payload, websocket.PONG))
            elif message.opcode == websocket.CLOSE:
                self.is_over = True
            elif message.opcode == websocket.BINARY and message.payload:
                yield message.payload[0], message.payload[1:]

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
