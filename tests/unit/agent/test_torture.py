"""The relay under conversations that nobody would plan: every byte is compared.

Hypothesis draws who says how much, in which pieces, who listens how slowly, who waits for the
other's end before it answers, and who hangs up in the middle. All conversations of an example go
on at once, through one proxy. Whoever hangs up does it rudely, and then the other may have heard
less than all of it, but nothing else, and must be told that this was not the end.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Literal

import hypothesis
import pytest
from hypothesis import strategies

from labkit.agent import sockets, stream
from labkit.model.proxying import Endpoint
from tests.unit.agent import fakes
from tests.unit.agent.conftest import Bench

LOCAL = "127.0.0.1"
#: Says which conversation a connection belongs to.
HEAD = struct.Struct("!I")
PATIENCE_S = 20
BULK = 800_000
SHORT = 3000
AT_ONCE = 8

Manner = Literal["ends", "waits", "hangs up"]


@dataclass(frozen=True, slots=True)
class Part:
    """One end's part of a conversation: what it says, and how it listens."""

    size: int
    piece: int
    manner: Manner = "ends"
    #: What it asks of each recv(), and the size of its receive buffer.
    reads: int = 65536
    room: int = 0

    @property
    def said(self) -> bytes:
        return random.Random(self.size).randbytes(self.size)


@dataclass(slots=True)
class Heard:
    """What came from the other end, and whether it ended well."""

    data: bytes = b""
    reset: bool = False


SIZES = strategies.one_of(
    strategies.integers(0, 3),
    strategies.sampled_from((stream.READ_SIZE - 1, stream.READ_SIZE, stream.READ_SIZE + 1)),
    strategies.integers(0, BULK),
)
PARTS = strategies.builds(
    Part,
    size=SIZES,
    piece=strategies.sampled_from((700, 16_384, 1_000_000)),
    reads=strategies.sampled_from((300, 5000, 65536)),
    room=strategies.sampled_from((0, 0, 32_768)),
)


@strategies.composite
def conversations(draw: strategies.DrawFn) -> tuple[Part, Part]:
    client, pod = draw(PARTS), draw(PARTS)
    odd: Manner = draw(strategies.sampled_from(("ends", "ends", "waits", "hangs up")))
    if draw(strategies.booleans()):
        return _with(client, odd), pod
    return client, _with(pod, odd)


def _with(part: Part, manner: Manner) -> Part:
    return Part(part.size, part.piece, manner, part.reads, part.room)


def take_part(part: Part, sock: socket.socket) -> Heard:
    """Speak and listen at once, as both ends of a connection may."""
    heard = Heard()
    if part.room:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, part.room)
    if part.manner == "hangs up":
        _say(part, sock, heard)
        sockets.reset(sock)
        return heard
    listener = threading.Thread(target=_listen, args=(part, sock, heard))
    listener.start()
    if part.manner == "waits":
        listener.join(PATIENCE_S)
        assert not listener.is_alive(), "the other end was never heard of"
    _say(part, sock, heard)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    listener.join(PATIENCE_S)
    assert not listener.is_alive(), f"nothing came any more after {len(heard.data)} bytes"
    return heard


def _say(part: Part, sock: socket.socket, heard: Heard) -> None:
    """The kernel tells of a reset only once: whoever speaks may learn of it first."""
    said = part.said
    try:
        for begin in range(0, len(said), part.piece):
            sock.sendall(said[begin : begin + part.piece])
    except (ConnectionResetError, BrokenPipeError):
        heard.reset = True


def _listen(part: Part, sock: socket.socket, heard: Heard) -> None:
    pieces = []
    try:
        while data := sock.recv(part.reads):
            pieces.append(data)
    except ConnectionResetError:
        heard.reset = True
    heard.data = b"".join(pieces)


class Theatre:
    """A pod and a proxy in front of it. Each conversation is played at both ends."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        #: What the pod is to do in each conversation ever, and what it heard.
        self._parts: list[Part] = []
        self._played: list[futures.Future[Heard]] = []

    def serve(self, connection: socket.socket) -> None:
        """What the pod does."""
        connection.settimeout(PATIENCE_S)
        head = b""
        while len(head) < HEAD.size:
            if not (more := connection.recv(HEAD.size - len(head))):
                return
            head += more
        [number] = HEAD.unpack(head)
        try:
            self._played[number].set_result(take_part(self._parts[number], connection))
        except BaseException as error:
            self._played[number].set_exception(error)
            raise

    def play(self, plays: Sequence[tuple[Part, Part]]) -> list[tuple[Heard, Heard | None]]:
        """What the clients heard, and the pod; None where the pod may never have been called.

        A client that hangs up does so at once: its reset overtakes its words.
        """
        first = len(self._parts)
        self._played += [futures.Future() for _ in plays]
        self._parts += [pod for _, pod in plays]
        numbers = range(first, first + len(plays))
        clients = [client for client, _ in plays]
        with futures.ThreadPoolExecutor(len(plays)) as pool:
            heard = list(pool.map(self._call, numbers, clients))
        return [
            (each, None if client.manner == "hangs up" else self._played[number].result(PATIENCE_S))
            for number, client, each in zip(numbers, clients, heard, strict=True)
        ]

    def _call(self, number: int, part: Part) -> Heard:
        with socket.socket() as sock:
            sock.settimeout(PATIENCE_S)
            sock.connect(self._address)
            sock.sendall(HEAD.pack(number))
            return take_part(part, sock)


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    bench = Bench()
    made: list[Theatre] = []
    with contextlib.closing(bench), fakes.tcp_pod(lambda sock: made[0].serve(sock)) as port:
        made.append(Theatre(bench.tcp(Endpoint(LOCAL, port))))
        yield made[0]
        bench.running.until(lambda: bench.tally.active_connections == 0, PATIENCE_S)


@hypothesis.settings(max_examples=250, deadline=None)
@hypothesis.given(plays=strategies.lists(conversations(), min_size=1, max_size=6))
@pytest.mark.timeout(300)
def test_every_byte_arrives_or_the_loss_is_told(
    theatre: Theatre, plays: list[tuple[Part, Part]]
) -> None:
    for (client, pod), (client_heard, pod_heard) in zip(plays, theatre.play(plays), strict=True):
        _check(pod, client, client_heard)
        if pod_heard is not None:
            _check(client, pod, pod_heard)


def _check(speaker: Part, listener: Part, heard: Heard) -> None:
    if listener.manner == "hangs up":
        return  # it did not listen
    if speaker.manner == "hangs up":
        assert heard.reset, "a connection that was reset looked as if it had ended well"
        assert speaker.said.startswith(heard.data)
    else:
        assert not heard.reset
        assert heard.data == speaker.said


def test_thousands_of_short_connections_leave_nothing(bench: Bench) -> None:
    """Each client gets its own word back; then all descriptors are as before."""

    def talk(first: int) -> None:
        for number in range(first, SHORT, AT_ONCE):
            word = b"%06d" % number
            with socket.create_connection(address, PATIENCE_S) as client:
                client.sendall(word)
                client.shutdown(socket.SHUT_WR)
                assert b"".join(iter(lambda: client.recv(100), b"")) == word

    with fakes.tcp_pod(fakes.echo_all) as port:
        address = bench.tcp(Endpoint(LOCAL, port))
        talk(SHORT - 1)
        bench.running.until(lambda: bench.tally.active_connections == 0)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        with futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(talk, first) for first in range(AT_ONCE)]:
                done.result()
        bench.running.until(lambda: bench.tally.active_connections == 0)
        assert len(bench.book.open()) == 0
        assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
