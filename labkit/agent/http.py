"""As much of an HTTP server as `curl` and a monitoring system need: GET, one answer, goodbye."""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

from labkit.agent import acceptor, sockets
from labkit.agent import loop as event_loop

log = logging.getLogger(__name__)

#: A request that is longer, or takes longer to arrive, is nobody's we know.
MAX_REQUEST = 8192
PATIENCE_S = 5.0
#: A port that somebody else has is asked for again after so long, as kube-proxy does.
REBIND_S = 5.0
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: str
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"

    def encode(self) -> bytes:
        body = self.body.encode()
        head = (
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}\r\n"
            f"Content-Type: {self.content_type}\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + body


NOT_FOUND = Answer("404 page not found\n", 404)
Answerer = Callable[[str], Answer]


class Server:
    """Answers GET requests at one address; a port that is taken is waited for."""

    def __init__(
        self,
        loop: event_loop.Loop,
        door: acceptor.Acceptor,
        address: tuple[str, int],
        answer: Answerer,
    ) -> None:
        self._loop = loop
        self._door = door
        self._address = address
        self._answer = answer
        self._sock: socket.socket | None = None
        self._complained = False
        self._bind()

    @property
    def port(self) -> int:
        """0 while it waits for its port."""
        return self._sock.getsockname()[1] if self._sock else 0

    def close(self) -> None:
        if self._sock:
            self._loop.remove(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _bind(self) -> None:
        try:
            self._sock = sockets.listen_tcp(*self._address)
        except OSError as error:
            self._complain(error)
            self._loop.later(REBIND_S, self._bind)
            return
        listener = self._sock
        self._loop.add(
            listener.fileno(), select.EPOLLIN, lambda _: self._door.accept(listener, self._take)
        )

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            log.warning("%s:%d: %s; trying again", *self._address, error.strerror)
        self._complained = True

    def _take(self, client: socket.socket, _address: str) -> None:
        Conversation(self._loop, client, self._answer)


class Conversation:
    """One request and its answer."""

    def __init__(self, loop: event_loop.Loop, client: socket.socket, answer: Answerer) -> None:
        self._loop = loop
        self._client = client
        self._answer = answer
        self._received = b""
        self._unsent = b""
        self._timer = loop.later(PATIENCE_S, self._close)
        loop.add(client.fileno(), event_loop.EDGES, self._on_event)

    def _on_event(self, _events: int) -> None:
        try:
            if not self._unsent:
                self._receive()
            self._send()
        except BlockingIOError:
            return
        except OSError:
            self._close()

    def _receive(self) -> None:
        while b"\r\n\r\n" not in self._received:
            data = self._client.recv(MAX_REQUEST)
            self._received += data
            if not data or len(self._received) > MAX_REQUEST:
                raise ConnectionAbortedError
        method, path, *_ = (*self._received.decode("latin-1").split(" ", 2), "", "")
        answer = self._answer(path) if method == "GET" else Answer("only GET\n", 405)
        self._unsent = answer.encode()

    def _send(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[self._client.send(self._unsent) :]
        self._close()

    def _close(self) -> None:
        self._timer.cancel()
        self._loop.remove(self._client.fileno())
        self._client.close()
