"""As much of an HTTP server as `curl` and a monitoring system need: GET, one answer, goodbye.

An answer may also be a stream, as a watch of the Kubernetes API is one: a chunk for each line, and
no end until the reader goes away.
"""

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
#: A reader of a stream who is so far behind has gone; the first line alone may have a megabyte.
MAX_BEHIND = 8 * 2**20
_REASONS = {
    200: "OK",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, and by whom."""

    path: str
    query: str = ""
    #: The client's address.
    client: str = "127.0.0.1"

    @property
    def is_local(self) -> bool:
        """Whether it came over loopback, which nobody else's packets can."""
        return self.client.startswith("127.") or self.client == "::1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: str
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"

    def encode(self) -> bytes:
        body = self.body.encode()
        length = f"Content-Length: {len(body)}"
        return _head(self.status, self.content_type, length, "Connection: close") + body


Push = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stream:
    """Lines, each sent as a chunk when there is one, for as long as somebody reads them.

    `subscribe` is given what sends a line, and returns what ends the subscription.
    """

    subscribe: Callable[[Push], Callable[[], None]]
    content_type: str = "application/json"

    def encode(self) -> bytes:
        """The head alone."""
        return _head(200, self.content_type, "Transfer-Encoding: chunked")


def _head(status: int, content_type: str, *fields: str) -> bytes:
    lines = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Content-Type: {content_type}",
        "X-Content-Type-Options: nosniff",
        *fields,
        "\r\n",
    )
    return "\r\n".join(lines).encode()


NOT_FOUND = Answer("404 page not found\n", 404)
Answerer = Callable[[Request], Answer | Stream]


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

    def _take(self, client: sockets.Plain, address: tuple[str, int]) -> None:
        Conversation(self._loop, client, address[0], self._answer)


class Conversation:
    """One request and its answer."""

    def __init__(
        self, loop: event_loop.Loop, client: sockets.Plain, address: str, answer: Answerer
    ) -> None:
        self._loop = loop
        self._client = client
        self._address = address
        self._answer = answer
        self._received = b""
        self._unsent = b""
        self._streaming = False
        self._unsubscribe: Callable[[], None] | None = None
        self._timer = loop.later(PATIENCE_S, self._close)
        loop.add(client.fileno(), event_loop.EDGES, self._on_event)

    def _on_event(self, _events: int) -> None:
        try:
            if self._streaming:
                self._send()
                self._listen_for_the_end()
            elif not self._unsent:
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
        method, target, *_ = (*self._received.decode("latin-1").split(" ", 2), "", "")
        path, _, query = target.partition("?")
        request = Request(path, query, self._address)
        answer = self._answer(request) if method == "GET" else Answer("only GET\n", 405)
        self._unsent = answer.encode()
        if isinstance(answer, Stream):
            self._timer.cancel()
            self._streaming = True
            self._unsubscribe = answer.subscribe(self._push)

    def _push(self, line: str) -> None:
        """Send a line. Who does not read what was sent before is no longer told."""
        data = f"{line}\n".encode()
        self._unsent += b"%x\r\n%s\r\n" % (len(data), data)
        try:
            if len(self._unsent) > MAX_BEHIND:
                raise ConnectionAbortedError
            self._send()
        except BlockingIOError:
            return
        except OSError:
            self._close()

    def _listen_for_the_end(self) -> None:
        while self._client.recv(MAX_REQUEST):
            pass  # who reads a stream has nothing more to say
        raise ConnectionAbortedError

    def _send(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[self._client.send(self._unsent) :]
        if not self._streaming:
            self._close()

    def _close(self) -> None:
        self._timer.cancel()
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None
        if self._client.fileno() >= 0:
            self._loop.remove(self._client.fileno())
            self._client.close()
