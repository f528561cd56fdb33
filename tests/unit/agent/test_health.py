"""What the agent tells about itself, and the server that it tells it by: OB-1 to OB-4."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator

import pytest

from labkit.agent import acceptor, health, http, server, tally
from tests.unit.agent import fakes

HEALTHZ = http.Request("/healthz")


def test_OB_1_healthz_is_json_of_kube_proxy_s_form() -> None:
    answer = health.answer_health(HEALTHZ, tally.Tally(), 1795462208.5, timeout_s=60)
    assert answer.status == 200
    assert answer.content_type == "application/json"
    moment = "2026-11-23 19:30:08.500000000 +0000 UTC"
    assert answer.body == f'{{"lastUpdated": "{moment}","currentTime": "{moment}"}}'
    assert json.loads(answer.body)


@pytest.mark.parametrize(
    ("queued", "synced", "now", "status"),
    [(0, 0, 1000, 200), (100, 0, 150, 200), (100, 0, 160, 503), (100, 101, 500, 200)],
)
def test_OB_2_who_was_asked_and_did_not_sync_in_time_is_not_healthy(
    queued: float, synced: float, now: float, status: int
) -> None:
    counts = tally.Tally(last_queued=queued, last_sync=synced)
    assert health.answer_health(HEALTHZ, counts, now, timeout_s=60).status == status


def test_other_paths_are_not_found() -> None:
    elsewhere = http.Request("/")
    assert health.answer_health(elsewhere, tally.Tally(), 0, timeout_s=60).status == 404


def test_who_is_stopping_sends_load_balancers_elsewhere() -> None:
    counts = tally.Tally(last_queued=100, last_sync=101)
    answer = health.answer_health(HEALTHZ, counts, 150, timeout_s=60, stopping=True)
    assert answer.status == 503


class Web:
    """A server in a running loop, and a client that writes by hand."""

    def __init__(self, running: fakes.RunningLoop, port: int = 0) -> None:
        self.running = running
        self.readers: list[http.Push] = []
        self.door = acceptor.Acceptor()
        self.server: server.Server = running.do(
            lambda: server.Server(running.loop, self.door, ("127.0.0.1", port), self.answer)
        )

    def answer(self, request: http.Request) -> http.Answer | http.Stream:
        match request.path:
            case "/none":
                return http.NOT_FOUND
            case "/stream":
                return http.Stream(self.subscribe)
            case path:
                return http.Answer(f"you asked for {path}")

    def subscribe(self, push: http.Push) -> Callable[[], None]:
        self.readers.append(push)
        return lambda: self.readers.remove(push)

    def say(self, *pieces: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as client:
            for piece in pieces:
                client.sendall(piece)
            return b"".join(iter(lambda: client.recv(4096), b""))

    def close(self) -> None:
        self.running.do(self.server.close)
        self.door.close()


@pytest.fixture
def running() -> Iterator[fakes.RunningLoop]:
    with contextlib.closing(fakes.RunningLoop()) as made:
        yield made


@pytest.fixture
def web(running: fakes.RunningLoop) -> Iterator[Web]:
    with contextlib.closing(Web(running)) as made:
        yield made


def test_a_request_may_come_in_pieces(web: Web) -> None:
    answer = web.say(b"GET /a HT", b"TP/1.1\r\nHost: x\r\n", b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nyou asked for /a")


def test_only_get_is_understood(web: Web) -> None:
    assert web.say(b"POST /a HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    assert web.say(b"\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    assert web.say(b"GET /none HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")


def test_who_talks_on_and_on_is_not_listened_to(web: Web) -> None:
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        assert web.say(bytes(server.MAX_REQUEST), bytes(server.MAX_REQUEST)) == b""
    assert web.say(b"GET / HTTP/1.1\r\n\r\n")


def test_who_says_nothing_is_not_waited_for(
    web: Web, running: fakes.RunningLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PATIENCE_S", 0.01)
    assert web.say() == b""


def test_a_stream_is_a_chunk_for_each_line_until_the_reader_goes(
    web: Web, running: fakes.RunningLoop
) -> None:
    with socket.create_connection(("127.0.0.1", web.server.port), timeout=5) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
        running.until(lambda: bool(web.readers))
        running.do(lambda: web.readers[0]("one"))
        running.do(lambda: web.readers[0]("two"))
        heard = b""
        while not heard.endswith(b"4\r\none\n\r\n4\r\ntwo\n\r\n"):
            heard += client.recv(4096)
        assert b"Transfer-Encoding: chunked" in heard
    running.until(lambda: not web.readers)


def test_who_does_not_read_a_stream_is_no_longer_told(
    web: Web, running: fakes.RunningLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_BEHIND", 100_000)
    with socket.create_connection(("127.0.0.1", web.server.port), timeout=5) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
        running.until(lambda: bool(web.readers))
        push = web.readers[0]
        for _ in range(1000):
            if not web.readers:
                break
            running.do(lambda: push("x" * 50_000))
        assert web.readers == []


def test_OB_4_a_port_that_is_taken_is_waited_for(
    running: fakes.RunningLoop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "REBIND_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as other:
        waiting = Web(running, other.getsockname()[1])
        assert waiting.server.port == 0
    running.until(lambda: waiting.server.port != 0)
    assert waiting.say(b"GET / HTTP/1.1\r\n\r\n")
    assert caplog.text.count("trying again") == 1
    waiting.close()
