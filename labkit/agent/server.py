"""As much of an HTTP server as `curl` and a monitoring system need: one connection, one request.

Each connection is a Conversation: it listens until the request is whole, has it answered, and sends
the answer as fast as the other end takes it. Who streams is told the lines when they come.
"""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Callable

from labkit.agent import acceptor, http, sockets
from labkit.agent import loop as event_loop

log = logging.getLogger(__name__)

#: A request that is longer, or takes longer to arrive, is nobody's we know.
MAX_REQUEST = 8192
PATIENCE_S = 5.0
#: A port that somebody else has is asked for again after so long, as kube-proxy does.
REBIND_S = 5.0
#: A reader of a stream who is so far behind has gone; the first line alone may have a megabyte.
MAX_BEHIND = 8 * 2**20


class Server:
    """Answers GET requests at one address; a port that is taken is waited for."""

    def __init__(
        self,
        loop: event_loop.Loop,
        door: acceptor.Acceptor,
        address: tuple[str, int],
        answer: http.Answerer,
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
        self, loop: event_loop.Loop, client: sockets.Plain, address: str, answer: http.Answerer
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
        request = http.parse_request(self._received, self._address)
        answer = self._answer(request) if request else http.ONLY_GET
        self._unsent = answer.encode()
        if isinstance(answer, http.Stream):
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
