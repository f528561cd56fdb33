"""Taking connections off a listening socket, also when there are no descriptors left."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable

from labkit.agent import sockets

#: What is done with a connection: it gets the socket, and the client's address and port.
Take = Callable[[sockets.Plain, tuple[str, int]], None]

log = logging.getLogger(__name__)

#: Connections taken in one turn, before other sockets have theirs.
PER_TURN = 64
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Acceptor:
    """Keeps one descriptor for bad times.

    Without a descriptor a connection cannot even be refused: it would wait, and its listener would
    call for attention for ever. The spare one is given up for the moment that it takes to say no.
    """

    def __init__(self) -> None:
        self._spare = -1
        self._keep_spare()

    def accept(self, listener: socket.socket, take: Take, on_refused: Take | None = None) -> None:
        """Hand over the connections that wait at `listener`.

        One that there is no descriptor for is shown to `on_refused`, and reset.
        """
        for _ in range(PER_TURN):
            try:
                client, address = sockets.accept(listener)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    log.debug("accept: %s", error)  # the client went away while it waited
                    return
                # If more are waiting, the listener calls again; by then there may be room.
                self._refuse_one(listener, on_refused)
                return
            take(client, address)

    def close(self) -> None:
        self._give_up_spare()

    def _refuse_one(self, listener: socket.socket, on_refused: Take | None) -> None:
        self._give_up_spare()
        with contextlib.suppress(OSError):
            client, address = sockets.accept(listener)
            log.warning("out of file descriptors: resetting the connection of %s", address[0])
            if on_refused:
                on_refused(client, address)
            sockets.reset(client)
        self._keep_spare()

    def _give_up_spare(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def _keep_spare(self) -> None:
        with contextlib.suppress(OSError):
            self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
