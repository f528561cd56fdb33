"""Carry bytes between a client and a pod, both ways, until both have said all.

A proxied connection is *two* TCP connections with this file in between:

    client ═══TCP═══ [client socket]  up ──▶  [backend socket] ═══TCP═══ pod
                                     ◀── down

Each direction is a Stream: fill from one socket, drain into the other. Three things matter:

* **Back pressure.** Nothing is read while something waits to be written, so a slow reader slows
  the sender, over both connections, and never fills our memory.
* **Half-close.** "I have no more to say" (a FIN) is carried through as just that; the other
  direction goes on. Only when both are over are the sockets closed.
* **Bulk stays in the kernel.** The first reads are ordinary ones: most requests are small, and a
  pipe costs two descriptors. A read that fills the buffer shows that more is coming, and from then
  on `splice` moves the data from socket to pipe to socket without ever handing it to us.

The sockets are watched by edges: we are told when something *becomes* possible, so each direction
goes on until the kernel says EAGAIN. Stop earlier, and a FIN that came with the last bytes would
never be heard of again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
from collections.abc import Callable

from labkit.agent import journal, sockets
from labkit.agent import loop as event_loop

#: An ordinary read. Larger than nearly every request, small enough to be cheap to ask for.
READ_SIZE = 16 * 1024
#: What one splice may move: the size asked for the pipe, the most that any user may ask for. With a
#: quarter of it a stream takes 1.3 times the CPU.
PIPE_SIZE = 1024 * 1024
#: After so many rounds of one direction the other connections have their turn.
ROUNDS = 8
#: There is something to read: bytes, the end, or an error. The same for writing.
_READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
_SPLICE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_F_SETPIPE_SZ = 1031


class Stream:
    """One direction of a connection."""

    __slots__ = (
        "_held",
        "_in_pipe",
        "_pipe",
        "_sink",
        "_source",
        "broken",
        "ended",
        "moved",
        "over",
    )

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self._source = source
        self._sink = sink
        self._held = b""
        self._pipe: tuple[int, int] | None = None
        self._in_pipe = 0
        #: Bytes that the sink has taken.
        self.moved = 0
        #: The source has said all; what it said may not be delivered yet.
        self.ended = False
        #: The sink went away before everything was delivered.
        self.broken = False
        #: Nothing more will happen in this direction.
        self.over = False

    def can_move(self, source: int, sink: int) -> bool:
        """Whether these events, at either end, are news for this direction."""
        return bool(source & _READABLE or (sink & _WRITABLE and (self._held or self._in_pipe)))

    def move(self, *, last: bool) -> bool:
        """Move what can be moved now. True: there may be more, but others should have a turn.

        `last`: the other direction is over, so when this one ends both sockets are closed, and
        that says to the sink as well that this was all.
        Raises OSError when the source fails, a reset of the connection above all.
        """
        for _ in range(ROUNDS):
            if not self._drain():
                return False
            if self.ended:
                self.over = True
                if not last:
                    self._pass_on_the_end()
                return False
            if not self._fill():
                return False
        return True

    def close(self) -> None:
        if self._pipe is not None:
            for fd in self._pipe:
                os.close(fd)
            self._pipe = None

    def _fill(self) -> bool:
        """Read once. False: there is nothing to read at the moment."""
        try:
            if self._pipe is None:
                self._held = self._source.recv(READ_SIZE)
                self.ended = not self._held
                if len(self._held) == READ_SIZE:
                    self._pipe = _open_pipe()
            else:
                self._in_pipe = os.splice(
                    self._source.fileno(), self._pipe[1], PIPE_SIZE, flags=_SPLICE
                )
                self.ended = not self._in_pipe
        except BlockingIOError:
            return False
        return True

    def _drain(self) -> bool:
        """Write what is held. False: the sink takes no more at the moment, or for ever."""
        try:
            while self._held:
                sent = self._sink.send(self._held)
                self._held = self._held[sent:]
                self.moved += sent
            while self._in_pipe and self._pipe:
                sent = os.splice(self._pipe[0], self._sink.fileno(), self._in_pipe, flags=_SPLICE)
                self._in_pipe -= sent
                self.moved += sent
        except BlockingIOError:
            return False
        except OSError:
            # It went away. What it sent before that may still be in our receive buffer, so the
            # other direction goes on by itself to its end.
            self.over = self.broken = True
        return not self.over

    def _pass_on_the_end(self) -> None:
        with contextlib.suppress(OSError):  # it may have gone meanwhile
            self._sink.shutdown(socket.SHUT_WR)


class Relay:
    """Both directions of one proxied connection. Owns both sockets, and closes them."""

    __slots__ = (
        "_backend",
        "_client",
        "_closed",
        "_down",
        "_first",
        "_loop",
        "_on_close",
        "_queued",
        "_up",
    )

    def __init__(
        self,
        loop: event_loop.Loop,
        client: socket.socket,
        backend: socket.socket,
        on_close: Callable[[journal.Outcome, str], None],
    ) -> None:
        self._loop = loop
        self._client = client
        self._backend = backend
        self._on_close = on_close
        self._up = Stream(client, backend)
        self._down = Stream(backend, client)
        #: How it will have ended: who was the first to say that this was all.
        self._first: journal.Outcome | None = None
        self._queued = False
        self._closed = False

    def start(self, events: int) -> None:
        """Begin. The backend is watched already, by whoever connected it and was told `events`."""
        self._loop.replace(self._backend.fileno(), self._on_backend)
        self._loop.add(self._client.fileno(), event_loop.EDGES, self._on_client)
        self._move(0, events)  # of the client's side the loop will tell

    def moved(self) -> tuple[int, int]:
        """Bytes that the pod has taken, and the client."""
        return self._up.moved, self._down.moved

    def cut(self, outcome: journal.Outcome) -> None:
        """End it now; both ends see a reset."""
        if not self._closed:
            self._close(outcome, rudely=True)

    def _on_client(self, events: int) -> None:
        """A client that reset the connection wants no more answers, even if it had ended before."""
        if events & select.EPOLLERR and not self._closed:
            self._close("client reset", rudely=True)
        else:
            self._move(events, 0)

    def _on_backend(self, events: int) -> None:
        """A pod may reset the connection and have answered before: so what came is delivered."""
        self._move(0, events)

    def _move(self, client: int, backend: int) -> None:
        """Go on in the directions for which something has happened at one of the two sockets."""
        if self._closed:
            return
        up, down = self._up, self._down
        more = False
        side: journal.Outcome = "client reset"
        try:
            if up.can_move(client, backend):
                more = up.move(last=down.over)
            side = "endpoint reset"
            if down.can_move(backend, client):
                more = down.move(last=up.over) or more
        except OSError as error:
            self._close(side, _detail(error), rudely=True)
            return
        if self._first is None and (up.ended or down.ended):
            self._first = "client closed" if up.ended else "endpoint closed"
        if up.over and down.over:
            # A reset that was met in writing is not met again in reading: it is passed on here.
            self._close(self._ending(), rudely=up.broken or down.broken)
        elif more and not self._queued:
            self._queued = True
            self._loop.soon(self._go_on)

    def _go_on(self) -> None:
        self._queued = False
        self._move(event_loop.EDGES, event_loop.EDGES)

    def _ending(self) -> journal.Outcome:
        """Who would not take what was for it had gone; else it was over when both had said all."""
        if self._up.broken:
            return "endpoint reset"
        if self._down.broken:
            return "client reset"
        return self._first or "client closed"

    def _close(self, outcome: journal.Outcome, detail: str = "", *, rudely: bool) -> None:
        """`rudely`: one end reset the connection, so the other end is told the same way."""
        self._closed = True
        for sock in (self._client, self._backend):
            self._loop.forget(sock.fileno())
            if rudely:
                sockets.reset(sock)
            else:
                sock.close()
        self._up.close()
        self._down.close()
        self._on_close(outcome, detail)


def _detail(error: OSError) -> str:
    """A reset is said by the outcome; a peer that vanished (ETIMEDOUT) is worth a word."""
    return "" if isinstance(error, ConnectionResetError) else error.strerror or str(error)


def _open_pipe() -> tuple[int, int] | None:
    """None when there are no descriptors left: copying by hand works as well, only slower."""
    try:
        pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with contextlib.suppress(OSError):  # a user may have 64 as large; with less it goes on, slower
        fcntl.fcntl(pipe[1], _F_SETPIPE_SZ, PIPE_SIZE)
    return pipe
