"""UDP through the proxy, with real sockets on loopback: US-56 to US-60."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from labkit.agent import sessions, sockets, udp
from labkit.model.proxying import Endpoint
from tests.unit.agent import fakes
from tests.unit.agent.conftest import Bench

Answer = Callable[[bytes], bytes]


@contextlib.contextmanager
def udp_pod(answer: Answer = lambda data: data) -> Iterator[Endpoint]:
    """A pod that answers each datagram to whom it came from."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    stopped = threading.Event()

    def run() -> None:
        while True:
            data, client = sock.recvfrom(65535)
            if stopped.is_set():
                return
            sock.sendto(answer(data), client)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Endpoint("127.0.0.1", sock.getsockname()[1])
    finally:
        stopped.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", sock.getsockname())
        thread.join()
        sock.close()


@contextlib.contextmanager
def silent_udp_pod() -> Iterator[Endpoint]:
    """A pod that hears, and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield Endpoint("127.0.0.1", sock.getsockname()[1])


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        yield sock


def ask(client: socket.socket, proxy: udp.UdpProxy, data: bytes) -> bytes:
    client.connect(("127.0.0.1", proxy.port))
    client.send(data)
    return client.recv(65535)


def active(bench: Bench) -> int:
    sessions: int = bench.running.do(lambda: bench.tally.active_udp_sessions)
    return sessions


@pytest.mark.parametrize("size", [0, 1, 4097, 65507])
def test_S_10_datagrams_of_any_size_arrive_whole(
    bench: Bench, client: socket.socket, size: int
) -> None:
    """kube-proxy cut them off at 4096 bytes, both ways (US-56)."""
    with udp_pod() as pod:
        assert ask(client, bench.udp(bench.rotation(pod)), bytes(size)) == bytes(size)


def test_US_57_a_client_keeps_its_endpoint_while_it_talks(
    bench: Bench, client: socket.socket
) -> None:
    with udp_pod(lambda _: b"one") as one, udp_pod(lambda _: b"two") as two:
        proxy = bench.udp(bench.rotation(one, two), idle_s=30)
        assert {ask(client, proxy, b"?") for _ in range(4)} == {b"one"}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.settimeout(5)
            assert ask(other, proxy, b"?") == b"two"
        assert active(bench) == 2


def test_US_58_a_session_that_was_answered_ends_when_it_is_idle(
    bench: Bench, client: socket.socket
) -> None:
    with udp_pod(lambda _: b"one") as one, udp_pod(lambda _: b"two") as two:
        proxy = bench.udp(bench.rotation(one, two), idle_s=0.05)
        assert ask(client, proxy, b"?") == b"one"
        assert active(bench) == 1
        bench.running.until(lambda: bench.tally.active_udp_sessions == 0)
        assert ask(client, proxy, b"?") == b"two"


def test_S_10_a_late_reply_still_arrives(bench: Bench, client: socket.socket) -> None:
    """kube-proxy threw away what came later than --udp-timeout (US-59)."""
    go_on = threading.Event()

    def late(data: bytes) -> bytes:
        assert go_on.wait(5)
        return data

    with udp_pod(late) as slow, udp_pod(lambda _: b"quick") as quick:
        clock = fakes.FakeClock()
        proxy = bench.udp(bench.rotation(slow, quick), clock=clock)
        client.connect(("127.0.0.1", proxy.port))
        client.send(b"slow")
        bench.running.until(lambda: bench.tally.udp_sessions == 1)
        clock.advance(1.0)  # longer than the session may be idle
        client.send(b"again")  # balanced anew
        assert client.recv(100) == b"quick"
        go_on.set()
        assert client.recv(100) == b"slow"


def test_S_10_a_client_is_moved_when_its_endpoint_goes(bench: Bench, client: socket.socket) -> None:
    """kube-proxy kept a busy client with a dead endpoint for ever (US-59)."""
    with udp_pod(lambda _: b"one") as one, udp_pod(lambda _: b"two") as two:
        rotation = bench.rotation(one, two)
        proxy = bench.udp(rotation, idle_s=30)
        assert ask(client, proxy, b"?") == b"one"
        bench.running.do(lambda: rotation.set_endpoints((two,)))
        bench.running.do(proxy.endpoints_changed)
        assert ask(client, proxy, b"?") == b"two"


def test_an_endpoint_that_nobody_listens_at_ends_the_session(
    bench: Bench, client: socket.socket, closed_port: int
) -> None:
    with udp_pod(lambda _: b"two") as two:
        dead = Endpoint("127.0.0.1", closed_port)
        proxy = bench.udp(bench.rotation(dead, two), idle_s=30)
        client.connect(("127.0.0.1", proxy.port))
        client.send(b"lost")
        bench.running.until(lambda: bench.tally.udp_sessions == 1)
        bench.running.until(lambda: bench.tally.active_udp_sessions == 0)
        assert ask(client, proxy, b"?") == b"two"


def test_without_endpoints_datagrams_are_dropped(bench: Bench, client: socket.socket) -> None:
    proxy = bench.udp(bench.rotation())
    client.sendto(b"?", ("127.0.0.1", proxy.port))
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert bench.running.do(lambda: bench.tally.dropped_datagrams) == 1


def test_closing_ends_the_sessions(bench: Bench, client: socket.socket) -> None:
    with udp_pod() as pod:
        assert ask(client, bench.udp(bench.rotation(pod)), b"x") == b"x"
        bench.close_proxies()
        assert active(bench) == 0


def outcomes(bench: Bench) -> list[str | None]:
    """How each session ended, in the order of their ends."""
    found: list[str | None] = bench.running.do(lambda: [each.outcome for each in bench.book])
    return found


def test_a_stop_waits_for_no_late_reply_and_begins_nothing_new(
    bench: Bench, client: socket.socket
) -> None:
    with udp_pod(lambda _: b"one") as one, silent_udp_pod() as silent:
        clock = fakes.FakeClock()
        proxy = bench.udp(bench.rotation(silent, one), clock=clock)
        client.connect(("127.0.0.1", proxy.port))
        client.send(b"?")
        bench.running.until(lambda: bench.tally.udp_sessions == 1)
        clock.advance(1.0)  # longer than it may be idle: it only waits for its reply now
        assert ask(client, proxy, b"?") == b"one"
        bench.running.do(proxy.drain)
        assert outcomes(bench) == ["no answer", None]
        assert ask(client, proxy, b"?") == b"one"  # what is open goes on
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"?", ("127.0.0.1", proxy.port))
            bench.running.until(lambda: bench.tally.dropped_datagrams == 1)
        assert outcomes(bench) == ["no answer", "stopping", None]


def test_not_too_many_sessions_wait_for_a_late_reply(
    bench: Bench, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_WAITING", 1)
    with silent_udp_pod() as silent:
        proxy = bench.udp(bench.rotation(silent), idle_s=0.02)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            client.sendto(b"?", ("127.0.0.1", proxy.port))
            bench.running.until(lambda: bench.tally.udp_sessions == 1)
            other.sendto(b"?", ("127.0.0.1", proxy.port))
            bench.running.until(lambda: bench.tally.udp_sessions == 2)
            bench.running.until(lambda: bench.tally.active_udp_sessions == 1)
        first, second = bench.running.do(lambda: list(bench.book))
        assert (first.number, first.outcome) == (1, "no answer"), "the oldest"
        assert second.outcome is None


def test_US_48_out_of_descriptors_a_datagram_is_dropped(
    bench: Bench, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_ip: str, _port: int) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with udp_pod() as pod:
        proxy = bench.udp(bench.rotation(pod))
        with monkeypatch.context() as patched:
            patched.setattr(sockets, "connect_udp", none_left)
            client.sendto(b"?", ("127.0.0.1", proxy.port))
            bench.running.until(lambda: bench.tally.dropped_datagrams == 1)
        assert outcomes(bench) == ["out of descriptors"]
        assert ask(client, proxy, b"!") == b"!"
