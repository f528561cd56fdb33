"""The echo: what it says, to many at once, over HTTP and UDP, until it is told to stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.podlet import echo

HEAD = b"GET /a HTTP/1.1\r\nHost: h\r\nx-thing: 1\r\n\r\n"


def test_a_request_is_taken_whole_or_not_at_all() -> None:
    for cut in range(len(HEAD)):
        assert echo.take_request(bytearray(HEAD[:cut])) is None
    received = bytearray(HEAD + HEAD[:5])
    request = echo.take_request(received)
    assert request == echo.Request("GET", "/a", {"Host": "h", "X-Thing": "1"})
    assert received == HEAD[:5], "what follows is the next request"


def test_a_body_belongs_to_its_request() -> None:
    received = bytearray(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab")
    assert echo.take_request(received) is None
    received += b"cGET"
    request = echo.take_request(received)
    assert request is not None
    assert request.body == b"abc"
    assert received == b"GET"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"SSH-2.0-x\r\n\r\n", "400"),
        (b"GET / HTTP/2\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n", "413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "411"),
        (b"G" * (echo.HEAD_MAX + 1), "431"),
    ],
)
def test_what_is_wrong_is_answered_and_ends_the_connection(sent: bytes, status: str) -> None:
    request = echo.take_request(bytearray(sent))
    assert request is not None
    assert request.status.startswith(status)
    assert request.is_last


@given(st.binary(max_size=200))
def test_no_bytes_break_it(sent: bytes) -> None:
    request = echo.take_request(bytearray(sent + b"\r\n\r\n"))
    if request is not None:
        assert echo.answer(request, ("a", 1), ("b", 2)).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    ("head", "is_last"),
    [
        (b"GET / HTTP/1.1", False),
        (b"GET / HTTP/1.1\r\nConnection: close", True),
        (b"GET / HTTP/1.0", True),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", False),
    ],
)
def test_who_wants_to_go_on(head: bytes, is_last: bool) -> None:
    assert echo.parse_head(head).is_last is is_last


@contextlib.contextmanager
def serving() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The echo as its own process, on a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    env = os.environ | {"POD_NAME": "app1", "POD_NAMESPACE": "shop", "NODE_NAME": "node1"}
    argv = (sys.executable, "-m", "labkit.podlet", "echo", f"{port}/TCP", f"{port}/UDP")
    process = subprocess.Popen(argv, env=env)
    try:
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            assert process.poll() is None
        yield port, process
    finally:
        process.terminate()
        process.wait(timeout=5)


@pytest.fixture
def port() -> Iterator[int]:
    with serving() as (number, _):
        yield number


def test_it_says_who_answers_whom_it_sees_and_what_was_asked(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/a?b=c", body="hello", headers={"X-Thing": "1"})
    response = connection.getresponse()
    told = json.loads(response.read())
    client = connection.sock.getsockname()
    assert response.getheader("content-type") == "application/json"
    assert (told["pod"], told["namespace"], told["node"]) == ("app1", "shop", "node1")
    assert told["server"] == {"address": "127.0.0.1", "port": port}
    assert told["client"] == {"address": "127.0.0.1", "port": client[1]}
    request = told["request"]
    assert (request["method"], request["path"], request["body"]) == ("POST", "/a?b=c", "hello")
    assert request["headers"]["X-Thing"] == "1"
    connection.request("HEAD", "/")
    assert connection.getresponse().read() == b""
    connection.close()


def test_many_clients_at_once_and_slow_ones(port: int) -> None:
    slow = socket.create_connection(("127.0.0.1", port))
    slow.sendall(HEAD[:10])
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    for client in clients:
        client.sendall(HEAD * 3)
    for client in clients:
        with client, client.makefile("rb") as file:
            assert [told["request"]["path"] for told in answers(file, 3)] == ["/a"] * 3
    slow.sendall(HEAD[10:])
    with slow, slow.makefile("rb") as file:
        assert len(answers(file, 1)) == 1


def answers(file: Any, count: int) -> list[Any]:
    found = []
    for _ in range(count):
        length = 0
        while (line := file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        found.append(json.loads(file.read(length)))
    return found


def test_who_shuts_down_after_asking_still_gets_the_answer(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(HEAD)
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as file:
            assert file.read().endswith(b"}\n")


def test_datagrams(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"\xffhi", ("127.0.0.1", port))
        told = json.loads(sock.recv(4096))
        assert told["request"] == {"payload": "\ufffdhi"}
        assert told["client"]["port"] == sock.getsockname()[1]


def test_term_ends_it_in_good_order() -> None:
    with serving() as (port, process):
        idle = socket.create_connection(("127.0.0.1", port))
        idle.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert idle.recv(65536), "what nobody has accepted yet, the kernel would reset"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        assert idle.recv(1) == b""
        idle.close()
