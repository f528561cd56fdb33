"""The limits of a connection, without a socket and without waiting: bytes in, a clock to turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from labkit.apiserver import connections

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.state = "open"
        self.high: int | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def is_closing(self) -> bool:
        return self.state != "open"

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def read_all(_: Any, receive: Any, send: Send) -> None:
    """Answers when the body is there."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await refuse(_, receive, send)


async def refuse(_: Any, __: Any, send: Send) -> None:
    """Answers at once, whatever is still to come."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


class Connection:
    def __init__(self, app: Any, state: ServerState) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            h11_max_incomplete_event_size=connections.HEADER_BYTES,
        )
        config.load()
        self.transport = Transport()
        self.protocol = connections.Protocol(config, state, {})
        self.protocol.connection_made(self.transport)
        self.begun = asyncio.get_running_loop().time()

    async def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.data_received(piece)
            await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def after(self, seconds: float) -> str:
        """What has become of the connection when so much time is over."""
        connections.sweep([self.protocol], self.begun + seconds)
        return self.transport.state

    @property
    def answer(self) -> tuple[int, Any]:
        head, _, body = self.transport.written.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def lose(self) -> None:
        self.protocol.connection_lost(None)


@contextlib.contextmanager
def connected(app: Any = read_all) -> Iterator[Connection]:
    made = Connection(app, ServerState())
    try:
        yield made
    finally:
        made.lose()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()
        await asyncio.sleep(0)

    asyncio.run(whole())


def test_idle_before_the_first_request_and_after_one() -> None:
    async def scenario() -> None:
        for pieces in ((), (GET,), (POST + b"x" * 100,), (GET, GET)):
            with connected() as made:
                await made.feed(*pieces)
                assert made.after(connections.IDLE_S - 1) == "open"
                assert made.after(connections.IDLE_S + 1) == "closed"

    run(scenario)


@pytest.mark.parametrize("pieces", [(b"G",), (b"GET / HTTP/1.1\r\n",), (GET, b"G"), (GET + b"G",)])
def test_a_header_that_drips(pieces: tuple[bytes, ...]) -> None:
    """Each byte more does not give it more time."""

    async def scenario() -> None:
        with connected() as made:
            await made.feed(*pieces)
            assert made.after(connections.HEADER_S - 1) == "open"
            made.transport.written = b""
            await made.feed(b"E")
            assert made.after(connections.HEADER_S + 1) == "closed"
            code, refused = made.answer
            assert (code, refused["message"]) == (408, "the header did not come in time")

    run(scenario)


@pytest.mark.parametrize("head", [POST, CHUNKED, GET + POST])
def test_a_body_that_drips(head: bytes) -> None:
    async def scenario() -> None:
        with connected() as made:
            await made.feed(head)
            made.transport.written = b""
            assert made.after(connections.BODY_S - 1) == "open"
            await made.feed(b"1")
            assert made.after(connections.BODY_S + 1) == "closed"
            assert made.answer[0] == 408

    run(scenario)


def test_an_answer_may_take_its_time() -> None:
    """A watch goes on for half an hour."""

    async def never(_: Any, receive: Any, __: Any) -> None:
        await receive()
        await receive()

    async def scenario() -> None:
        with connected(never) as made:
            await made.feed(GET)
            assert made.after(3600) == "open"

    run(scenario)


def test_the_rest_of_a_body_that_was_refused() -> None:
    async def scenario() -> None:
        with connected(refuse) as made:
            await made.feed(POST)
            assert b"done" in made.transport.written
            assert made.after(connections.REST_S - 1) == "open"
            assert made.after(connections.REST_S + 1) == "aborted"
        with connected(refuse) as made:
            await made.feed(POST, b"x" * 100, GET)
            assert made.transport.written.count(b"done") == 2
            assert made.after(connections.REST_S + 1) == "open"

    run(scenario)


def test_the_rest_has_a_size_too() -> None:
    async def scenario() -> None:
        with connected(refuse) as made:
            chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
            await made.feed(CHUNKED, *[chunk] * 7)
            assert made.transport.state == "open"
            await made.feed(chunk)
            assert made.transport.state == "aborted"

    run(scenario)


def test_a_client_that_does_not_read() -> None:
    async def scenario() -> None:
        with connected() as made:
            assert made.transport.high == connections.UNSENT_BYTES
            await made.feed(GET)
            made.protocol.pause_writing()
            made.protocol.resume_writing()
            assert made.after(connections.STALLED_S + 1) == "open"
            made.protocol.pause_writing()
            assert made.after(connections.STALLED_S - 1) == "open"
            assert made.after(connections.STALLED_S + 1) == "aborted"

    run(scenario)


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ((b"\x16\x03\x01\x02\x00",), 400),
        ((b"GET / HTTP/9\r\n\r\n",), 400),
        ((b"GET / HTTP/1.1\r\n\r\n",), 400),  # no Host
        ((b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",), 400),
        ((CHUNKED, b"zzz\r\n"), 400),
        ((CHUNKED, b"-1\r\n"), 400),
        ((b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",), 400),
        ((b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",), 400),
        ((b"GET / HTTP/1.1\r\nHost: x\r\nA: ", *[b"a" * 16_000] * 5), 431),
        ((b"GET /", *[b"a" * 16_000] * 5), 431),
    ],
)
def test_what_is_no_http(pieces: tuple[bytes, ...], code: int) -> None:
    async def scenario() -> None:
        with connected() as made:
            for piece in pieces:
                if made.transport.state == "open":
                    await made.feed(piece)
            assert made.transport.state == "closed"
            answered, refused = made.answer
            assert (answered, refused["kind"], refused["code"]) == (code, "Status", code)

    run(scenario)


def test_garbage_after_the_answer_has_begun() -> None:
    """There is no way to say it any more."""

    async def scenario() -> None:
        with connected(refuse) as made:
            await made.feed(CHUNKED, b"zzz\r\n")
            assert made.transport.state == "aborted"
            assert made.transport.written.count(b"HTTP/1.1") == 1

    run(scenario)


def test_the_longest_idle_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 3)

    async def scenario() -> None:
        state = ServerState()
        made = [Connection(read_all, state) for _ in range(3)]
        await made[0].feed(POST)
        made += [Connection(read_all, state)]
        states = [each.transport.state for each in made]
        assert states == ["open", "aborted", "open", "open"]
        for each in made:
            each.lose()
        assert not state.connections

    run(scenario)
