"""What one connection may cost: a time for each part of a request, and room for what is unsent.

A server of this kind dies of its slowest clients, not of its busiest: of a header that comes at one
byte a second, of a body that never ends, of a watch that nobody reads. Each such client holds a
descriptor and some memory for as long as it is let. So each state of a connection has a limit:

    idle      between two requests, or before the first      closed in good order
    header    from its first byte to its end                 408
    body      from the end of the header to its own end      408
    rest      of a body whose request is answered already    cut off
    stalled   the client does not read what it asked for     cut off

Once a second `sweep` looks at all of them: a timer for each would be set and cancelled with every
request.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import h11
from uvicorn.protocols.http import h11_impl

from labkit.apiserver import authn, status, upgrade

Phase = Literal["idle", "header", "body", "rest", "answer"]

#: kubectl opens a new connection for each command; agents keep theirs.
IDLE_S = 120
#: A header fits in a packet or two. (kube-apiserver allows 32 s.)
HEADER_S = 10
#: As kube-apiserver's --request-timeout: 3 MiB in this time are 50 kB/s.
BODY_S = 60
#: Somebody who was refused may still be sending: cut off at once, he would not see the answer.
REST_S = 2
REST_BYTES = 256 * 1024
#: Nothing can be sent: the client's buffers and ours are full. 128 KiB in this time are 4 kB/s.
STALLED_S = 30
#: The longest line or header. (kube-apiserver allows 1 MiB.)
HEADER_BYTES = 64 * 1024
#: What waits for a client that reads too slowly, before the watch itself has to wait.
UNSENT_BYTES = 64 * 1024
#: With 30 kB for each. When there are more, that which has idled longest makes room.
MOST = 4000
#: At the end of the process, every connection that is not closed after this long is cut off: a peer
#: that does not answer TLS's goodbye, or does not finish its request.
LINGER_S = 0.3

LIMITS_S: Mapping[Phase, float] = {
    "idle": IDLE_S,
    "header": HEADER_S,
    "body": BODY_S,
    "rest": REST_S,
}


class Protocol(upgrade.Upgradable):
    """HTTP/1.1 as uvicorn has it, with limits, and with the client's certificate."""

    _phase: Phase = "idle"
    #: Since when it is in that phase.
    _since = 0.0
    _rest = 0
    _stalled_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self._since = self.loop.time()
        if len(self.connections) > MOST:
            _make_room(self.connections)
        certificate = transport.get_extra_info("peercert")
        if certificate:
            user = authn.user_of_certificate(certificate["subject"])
            self.app_state = {**self.app_state, "certificate_user": user}

    def data_received(self, data: bytes) -> None:
        if self._phase == "rest":
            self._rest += len(data)
            if self._rest > REST_BYTES:
                self.transport.abort()
                return
        super().data_received(data)
        self._note_phase()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note_phase()

    def _note_phase(self) -> None:
        phase = self._find_phase()
        if phase != self._phase:
            self._phase, self._since, self._rest = phase, self.loop.time(), 0

    def _find_phase(self) -> Phase:
        if self.conn.their_state is h11.IDLE:
            return "header" if self.conn.trailing_data[0] else "idle"
        if self.conn.their_state is not h11.SEND_BODY:
            return "answer"
        return "rest" if self.cycle.response_complete else "body"

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_since = None

    def check(self, now: float) -> None:
        """End the connection if its time is up."""
        if self._stalled_since is not None and now - self._stalled_since > STALLED_S:
            self.transport.abort()
        elif now - self._since <= LIMITS_S.get(self._phase, float("inf")):
            return
        elif self._phase == "idle":
            self.timeout_keep_alive_handler()
        elif self._phase == "rest":
            self.transport.abort()
        else:
            self._refuse(408, "RequestTimeout", f"the {self._phase} did not come in time")

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP, or is too long; the exception at hand knows which."""
        code = getattr(sys.exception(), "error_status_hint", 400)
        self._refuse(code, "BadRequest", msg)

    def _refuse(self, code: int, reason: str, message: str) -> None:
        """Answer without the application, and close."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE) or self.transport.is_closing():
            self.transport.abort()
            return
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = json.dumps(status.failure(code, reason, message).body).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        phrase = h11_impl.STATUS_PHRASES[code]
        events: tuple[Any, ...] = (
            h11.Response(status_code=code, headers=headers, reason=phrase),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event))
        self.transport.close()

    @property
    def idle_since(self) -> float:
        """When it began to idle; infinity for one that is in use."""
        return self._since if self._phase == "idle" else float("inf")

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(LINGER_S, self.transport.abort)


def _make_room(connections: Iterable[Any]) -> None:
    """Where all are in use, one of them has to go all the same."""
    min(connections, key=lambda each: each.idle_since).transport.abort()


def sweep(connections: Iterable[Any], now: float) -> None:
    """End every connection whose time is up."""
    for connection in list(connections):
        connection.check(now)
