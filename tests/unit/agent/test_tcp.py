"""TCP through the proxy, with real sockets on loopback: US-46 to US-55."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit.agent import sockets, stream
from labkit.model.proxying import Endpoint
from tests.unit.agent import fakes
from tests.unit.agent.conftest import Bench

LOCAL = "127.0.0.1"


def pod(port: int, ip: str = LOCAL) -> Endpoint:
    return Endpoint(ip, port)


def exchange(address: tuple[str, int], said: bytes) -> bytes:
    """Say everything, say that this was all, and hear everything."""
    with socket.create_connection(address, timeout=10) as client:
        sender = threading.Thread(target=_say, args=(client, said))
        sender.start()
        heard = b"".join(iter(lambda: client.recv(65536), b""))
        sender.join()
    return heard


def _say(client: socket.socket, said: bytes) -> None:
    client.sendall(said)
    client.shutdown(socket.SHUT_WR)


def assert_reset(address: tuple[str, int]) -> None:
    with socket.socket() as client, pytest.raises(ConnectionResetError):
        fakes.ask(client, address)


def speak(word: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(word)


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("size", [1, stream.READ_SIZE - 1, stream.READ_SIZE, 300_000, 5_000_000])
def test_bytes_arrive_as_they_were_sent(bench: Bench, size: int) -> None:
    said = random.Random(size).randbytes(size)
    with fakes.tcp_pod(echo) as port:
        assert exchange(bench.tcp(pod(port)), said) == said


def test_S_3_the_end_of_the_question_is_not_the_end_of_the_answer(bench: Bench) -> None:
    """kube-proxy closed both connections at the first FIN: the answer was empty (US-53)."""
    with fakes.tcp_pod(fakes.echo_all) as port:
        assert exchange(bench.tcp(pod(port)), b"question") == b"question"


def test_what_follows_an_urgent_byte_is_not_left_behind(bench: Bench) -> None:
    """The kernel ends a read before such a byte, though there is more."""
    with (
        fakes.tcp_pod(echo) as port,
        socket.create_connection(bench.tcp(pod(port)), timeout=5) as client,
    ):
        client.sendall(b"before")
        client.send(b"!", socket.MSG_OOB)
        client.sendall(b"after")
        heard = b""
        while len(heard) < len(b"beforeafter"):
            heard += client.recv(100)
    assert heard == b"beforeafter"


def test_a_pod_that_speaks_first_is_heard(bench: Bench) -> None:
    with fakes.tcp_pod(speak(b"220 ready")) as port:
        assert exchange(bench.tcp(pod(port)), b"") == b"220 ready"


def test_a_slow_reader_slows_the_pod_and_loses_nothing(bench: Bench) -> None:
    answer = random.Random(1).randbytes(8_000_000)
    with fakes.tcp_pod(speak(answer)) as port:
        client = socket.create_connection(bench.tcp(pod(port)), timeout=10)
        heard = bytearray(client.recv(1000))
        for _ in range(20):
            bench.running.do(lambda: None)  # the loop goes round while nobody reads
        while data := client.recv(5000):
            heard += data
        client.close()
    assert bytes(heard) == answer


def test_a_reset_of_the_pod_is_a_reset_for_the_client(bench: Bench) -> None:
    with fakes.tcp_pod(reset) as port:
        assert_reset(bench.tcp(pod(port)))


@pytest.mark.parametrize("half_closed", [False, True])
def test_a_reset_of_the_client_is_a_reset_for_the_pod(bench: Bench, half_closed: bool) -> None:
    seen: list[object] = []
    begun, done = threading.Event(), threading.Event()

    def hear(connection: socket.socket) -> None:
        try:
            connection.recv(1)
            if half_closed:
                assert connection.recv(1) == b""
            begun.set()
            seen.append(_next_word(connection))
        finally:
            done.set()

    with fakes.tcp_pod(hear) as port:
        client = socket.create_connection(bench.tcp(pod(port)), timeout=5)
        client.sendall(b"x")
        if half_closed:
            client.shutdown(socket.SHUT_WR)
        assert begun.wait(5)
        sockets.reset(client)
        assert done.wait(5)
    assert seen == [errno.ECONNRESET]


def _next_word(connection: socket.socket) -> object:
    try:
        connection.settimeout(3)
        while True:
            connection.sendall(b"y")  # a half-closed connection can still be written to
            if data := connection.recv(1):
                return data
    except OSError as error:
        return errno.ECONNRESET if error.errno == errno.EPIPE else error.errno


def test_US_50_a_pod_that_refuses_costs_nobody_a_connection(bench: Bench, closed_port: int) -> None:
    with fakes.tcp_pod(speak(b"ok")) as port:
        address = bench.tcp(pod(closed_port), pod(port))
        assert [exchange(address, b"") for _ in range(4)] == [b"ok"] * 4
    assert bench.tally.failed_dials >= 2


@pytest.fixture
def silent_pod() -> Iterator[Endpoint]:
    """An address from which nothing ever comes back: its queue of connections is full."""
    with contextlib.ExitStack() as kept_open:
        listener = kept_open.enter_context(socket.socket())
        listener.bind((LOCAL, 0))
        listener.listen(0)
        for _ in range(3):
            filler, _ = sockets.begin_connect(*listener.getsockname())
            kept_open.enter_context(contextlib.closing(filler))
        yield pod(listener.getsockname()[1])


def test_S_4_a_pod_that_is_silent_makes_only_its_own_client_wait(
    bench: Bench, silent_pod: Endpoint
) -> None:
    """kube-proxy dialled for one client at a time: three clients took 3.8, 7.5 and 11.2 s."""
    with fakes.tcp_pod(speak(b"ok")) as port:
        address = bench.tcp(silent_pod, pod(port))
        begun = time.monotonic()
        waiting = socket.create_connection(address)  # its turn is the silent pod's
        assert exchange(address, b"") == b"ok"  # and this one's is not
        assert time.monotonic() - begun < 0.2
        waiting.settimeout(5)
        assert waiting.recv(2) == b"ok"
        assert 0.2 < time.monotonic() - begun < 2
        waiting.close()


def test_US_52_without_endpoints_the_client_is_reset_at_once(bench: Bench) -> None:
    begun = time.monotonic()
    assert_reset(bench.tcp())
    assert time.monotonic() - begun < 1
    assert bench.tally.refused_connections == 1
    bench.running.until(lambda: bench.tally.active_connections == 0)


def test_US_50_when_all_endpoints_refuse_the_client_is_reset(
    bench: Bench, closed_port: int
) -> None:
    assert_reset(bench.tcp(pod(closed_port)))
    assert bench.tally.failed_dials == 4


def test_US_50_an_endpoint_to_which_no_way_leads_is_passed_over(bench: Bench) -> None:
    """The kernel says so at once, without anything on its way."""
    with fakes.tcp_pod(speak(b"ok")) as port:
        address = bench.tcp(Endpoint("255.255.255.255", port), pod(port))
        assert exchange(address, b"") == b"ok"
    assert bench.tally.failed_dials == 1


def test_a_stop_ends_a_search_that_goes_on(bench: Bench, silent_pod: Endpoint) -> None:
    with socket.create_connection(bench.tcp(silent_pod), timeout=5) as client:
        bench.running.until(lambda: bench.tally.active_connections == 1)
        bench.running.do(lambda: bench.book.cut_all("stopping"))
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert dict(bench.tally.outcomes) == {("TCP", "stopping"): 1}


def test_US_48_out_of_descriptors_for_the_pod_s_side_is_no_endpoint_s_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_ip: str, _port: int) -> tuple[sockets.Plain, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(sockets, "begin_connect", none_left)
    assert_reset(bench.tcp(pod(1)))
    [record] = bench.running.do(lambda: list(bench.book))
    assert (record.outcome, record.detail) == ("out of descriptors", "Too many open files")
    assert not record.failures


def test_US_55_without_descriptors_for_a_pipe_bytes_are_copied_by_hand(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_flags: int) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pipe2", none_left)
    said = random.Random(2).randbytes(300_000)
    with fakes.tcp_pod(echo) as port:
        assert exchange(bench.tcp(pod(port)), said) == said


def test_US_43_connections_outlive_their_proxy_port(bench: Bench) -> None:
    with fakes.tcp_pod(echo) as port:
        address = bench.tcp(pod(port))
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(b"before")
            assert client.recv(10) == b"before"
            bench.close_proxies()
            client.sendall(b"after")
            assert client.recv(10) == b"after"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)


def test_US_47_delays_are_off_and_dead_peers_are_found_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's side from the beginning, the pod's as soon as the connection has lasted."""
    ours: list[sockets.Plain] = []

    def noted(open_: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            sock, rest = open_(*args)
            ours.append(sock)
            return sock, rest

        return call

    for name in ("accept", "begin_connect"):
        monkeypatch.setattr(sockets, name, noted(getattr(sockets, name)))
    with fakes.tcp_pod(echo) as port, contextlib.ExitStack() as stack:
        client = stack.enter_context(socket.create_connection(bench.tcp(pod(port)), timeout=5))
        client.sendall(b"?")
        assert client.recv(1) == b"?"
        inward, outward = ours
        assert all(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in ours)
        assert inward.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        bench.running.until(
            lambda: bool(outward.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        )
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            assert [s.getsockopt(socket.IPPROTO_TCP, option) for s in ours] == [15, 15]


def test_a_connection_that_is_over_in_a_moment_is_not_watched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That spares it three system calls."""
    looked: list[int] = []
    real = sockets.watch_peer

    def noted(sock: sockets.Plain) -> None:
        looked.append(sock.fileno())
        real(sock)

    monkeypatch.setattr(sockets, "watch_peer", noted)
    with fakes.tcp_pod(echo) as port:
        address = bench.tcp(pod(port))
        looked.clear()  # the listening socket's own
        assert exchange(address, b"?") == b"?"
        bench.running.until(lambda: bool(looked))
    assert looked == [-1]


def test_descriptors_return_to_where_they_were(bench: Bench) -> None:
    with fakes.tcp_pod(echo) as port:
        address = bench.tcp(pod(port))
        before = descriptors()
        for size in (10, 1_000_000):
            assert len(exchange(address, bytes(size))) == size
        bench.running.until(lambda: bench.tally.active_connections == 0)
        bench.running.until(lambda: descriptors() == before)


def test_S_8_out_of_descriptors_clients_are_refused_and_served_again_later(bench: Bench) -> None:
    """kube-proxy ended itself when it could not accept (US-48)."""
    with fakes.tcp_pod(speak(b"ok")) as port:
        address = bench.tcp(pod(port))
        client = socket.socket()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(descriptors())
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        hoarded = _hoard()
        try:
            with client, pytest.raises(ConnectionResetError):
                fakes.ask(client, address)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in hoarded:
                os.close(fd)
        assert exchange(address, b"") == b"ok"


def descriptors() -> set[int]:
    """The numbers in use, without the one that looking takes."""
    found = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    return {fd for fd in found if _is_open(fd)}


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _hoard() -> list[int]:
    hoarded = []
    while True:
        try:
            hoarded.append(os.dup(0))
        except OSError:
            return hoarded


def test_many_clients_at_once_each_get_their_own(bench: Bench) -> None:
    """Random sizes, all at the same time, checked byte for byte."""
    dice = random.Random(7)
    wrong: list[int] = []

    def one(number: int, size: int) -> None:
        said = random.Random(number).randbytes(size)
        if exchange(address, said) != said:
            wrong.append(number)

    with fakes.tcp_pod(echo) as one_port, fakes.tcp_pod(fakes.echo_all) as other_port:
        address = bench.tcp(pod(one_port), pod(other_port))
        clients = [
            threading.Thread(target=one, args=(n, dice.choice((1, 50, 20_000, 400_000))))
            for n in range(60)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert wrong == []
    assert bench.tally.connections == 60
