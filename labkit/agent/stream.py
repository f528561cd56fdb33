"""One direction of a proxied connection: read from one socket, write to the other.

* **Back pressure.** Nothing is read while something waits to be written, so a slow reader slows
  the sender, over both connections, and never fills our memory.
* **Bulk stays in the kernel.** The first reads are ordinary ones: most requests are small, and a
  pipe costs two descriptors. A read that fills the buffer shows that more is coming, and from then
  on `splice` moves the data from socket to pipe to socket without ever handing it to us.
* **Edges.** We are told when something *becomes* possible, so a direction goes on until nothing is
  left. A read that brings less than it asked for has emptied the socket, and what comes later will
  be told. What was told already will not be: behind the last bytes stands the end, and one reads
  on until one has met it. Both then leave in one packet.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket

from labkit.agent import sockets

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
#: A short read is not the last: behind it stands the end, or what follows an urgent byte.
_READ_ON = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR | select.EPOLLPRI
_SPLICE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_F_SETPIPE_SZ = 1031


class Stream:
    """From `source` to `sink`."""

    __slots__ = (
        "_failure",
        "_held",
        "_in_pipe",
        "_pipe",
        "_read_on",
        "_sink",
        "_source",
        "broken",
        "ended",
        "moved",
        "over",
    )

    def __init__(self, source: sockets.Plain, sink: sockets.Plain) -> None:
        self._source = source
        self._sink = sink
        self._held = b""
        self._pipe: tuple[int, int] | None = None
        self._in_pipe = 0
        self._read_on = False
        #: How reading failed, while what was read before has to be delivered first.
        self._failure: OSError | None = None
        #: Bytes that the sink has taken.
        self.moved = 0
        #: The source has said all; what it said may not be delivered yet.
        self.ended = False
        #: The sink went away before everything was delivered.
        self.broken = False
        #: Nothing more will happen in this direction.
        self.over = False

    def hear(self, source: int, sink: int) -> bool:
        """Hear of events at either end. Returns whether they are news for this direction."""
        if source & _READ_ON:
            self._read_on = True
        return bool(source & _READABLE or (sink & _WRITABLE and self.waits))

    @property
    def waits(self) -> bool:
        """Something was read that the sink had no room for."""
        return bool(self._held or self._in_pipe)

    def move(self, *, last: bool) -> bool:
        """Move what can be moved now. True: there may be more, but others should have a turn.

        `last`: the other direction is over, so when this one ends both sockets are closed, and
        that says to the sink as well that this was all.
        Raises OSError when the source fails, a reset of the connection above all.
        """
        more = True
        for _ in range(ROUNDS):
            if self.waits and not self._drain():
                return False
            if self._failure:
                raise self._failure
            if self.ended:
                self.over = True
                if not last:
                    self._pass_on_the_end()
                return False
            if not more:
                return False
            more = self._fill()
        return True

    def close(self) -> None:
        if self._pipe is not None:
            for fd in self._pipe:
                os.close(fd)
            self._pipe = None

    def _fill(self) -> bool:
        """Read once. False: there is nothing more to read at the moment."""
        try:
            if self._pipe is None:
                return self._read()
            self._in_pipe = os.splice(
                self._source.fileno(), self._pipe[1], PIPE_SIZE, flags=_SPLICE
            )
            self.ended = not self._in_pipe
        except BlockingIOError:
            return False
        return True

    def _read(self) -> bool:
        self._held = self._source.recv(READ_SIZE)
        self.ended = not self._held
        if len(self._held) == READ_SIZE:
            self._pipe = _open_pipe()
            return True
        if self._read_on and not self.ended:
            self._look_behind()
        return self._read_on

    def _look_behind(self) -> None:
        """Read once more before writing: with its end, the last of the bytes takes one packet."""
        try:
            behind = self._source.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._failure = error
            return
        self._held += behind
        self.ended = not behind

    def _drain(self) -> bool:
        """Write what is held. False: the sink takes no more at the moment, or for ever."""
        try:
            while self._held:
                sent = self._sink.send(self._held, socket.MSG_MORE if self.ended else 0)
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
        try:
            self._sink.shutdown(socket.SHUT_WR)
        except OSError:  # it has gone meanwhile
            return


def _open_pipe() -> tuple[int, int] | None:
    """None when there are no descriptors left: copying by hand works as well, only slower."""
    try:
        pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with contextlib.suppress(OSError):  # a user may have 64 as large; with less it goes on, slower
        fcntl.fcntl(pipe[1], _F_SETPIPE_SZ, PIPE_SIZE)
    return pipe
