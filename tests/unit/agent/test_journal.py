"""What the journal says of connections and sessions, and what is told of it over /debug."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from labkit.agent import balancer, describe, http, journal, tally, ways
from labkit.model.proxying import Endpoint
from tests.unit.agent import conftest, fakes
from tests.unit.agent.conftest import Bench
from tests.unit.agent.test_tcp import LOCAL, echo, pod, reset
from tests.unit.agent.test_udp import udp_pod

AROUND = ways.Surroundings(
    frozenset({ipaddress.ip_address("192.168.56.11")}), ipaddress.IPv4Network("10.244.0.0/16")
)


def ended(bench: Bench) -> journal.Record:
    """The only record, once it has ended."""
    bench.running.until(lambda: any(record.outcome for record in bench.book))
    record: journal.Record
    [record] = bench.running.do(lambda: list(bench.book))
    return record


def test_a_record_ties_the_two_connections_together(bench: Bench) -> None:
    seen: list[Any] = []

    def serve(connection: socket.socket) -> None:
        seen.append(connection.getpeername())
        echo(connection)

    with fakes.tcp_pod(serve) as port:
        address = bench.tcp(pod(port))
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(b"question")
            assert client.recv(100) == b"question"
            ours = client.getsockname()
            [live] = bench.running.do(bench.book.open)
            bench.running.until(lambda: live.moved() == (8, 8))
        record = ended(bench)
    assert record.client == ours
    assert record.source == seen[0]
    assert record.service_port == conftest.TCP
    assert record.choice == balancer.Choice(pod(port), "round robin", 1, 1)
    assert record.moved() == (8, 8)
    assert record.outcome == "client closed"
    assert record.began <= record.connected <= record.ended


def test_who_ended_it_first_is_told(bench: Bench) -> None:
    with fakes.tcp_pod(lambda pod: pod.sendall(b"ok")) as port:
        with socket.create_connection(bench.tcp(pod(port)), timeout=5) as client:
            assert client.recv(10) + client.recv(10) == b"ok"
        assert ended(bench).outcome == "endpoint closed"


def test_a_reset_of_the_pod_is_told(bench: Bench) -> None:
    with fakes.tcp_pod(reset) as port:
        with socket.create_connection(bench.tcp(pod(port)), timeout=5) as client:
            client.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert ended(bench).outcome == "endpoint reset"


def test_a_reset_of_the_client_is_told(bench: Bench) -> None:
    from labkit.agent import sockets

    with fakes.tcp_pod(echo) as port:
        client = socket.create_connection(bench.tcp(pod(port)), timeout=5)
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        sockets.reset(client)
        assert ended(bench).outcome == "client reset"


def test_a_retry_says_what_failed_before(bench: Bench, closed_port: int) -> None:
    with fakes.tcp_pod(lambda pod: pod.sendall(b"ok")) as port:
        with socket.create_connection(bench.tcp(pod(closed_port), pod(port)), timeout=5) as client:
            assert client.recv(10) == b"ok"
        record = ended(bench)
    assert record.failures == ((pod(closed_port), "Connection refused"),)
    assert record.choice == balancer.Choice(pod(port), "retry", 2, 2)


def test_affinity_is_told(bench: Bench) -> None:
    rotation = balancer.Balancer()
    rotation.set_affinity(100)
    rotation.set_endpoints([pod(1), pod(2)])
    first, second = rotation.choose("c"), rotation.choose("c")
    assert first is not None
    assert second == balancer.Choice(first.endpoint, "affinity", 0, 2)


@pytest.mark.parametrize("has_endpoint", [False, True])
def test_who_is_refused_is_in_the_journal_with_the_reason(
    bench: Bench, closed_port: int, has_endpoint: bool
) -> None:
    address = bench.tcp(*[pod(closed_port)] * has_endpoint)
    with socket.socket() as client, pytest.raises(ConnectionResetError):
        fakes.ask(client, address)
    record = ended(bench)
    if has_endpoint:
        assert (record.outcome, len(record.failures)) == ("dial failed", 4)
    else:
        assert (record.outcome, record.choice) == ("no endpoints", None)
    assert bench.tally.outcomes["TCP", str(record.outcome)] == 1


def test_a_connection_that_is_cut_is_reset(bench: Bench) -> None:
    with fakes.tcp_pod(echo) as port:
        client = socket.create_connection(bench.tcp(pod(port)), timeout=5)
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        bench.running.do(lambda: bench.book.cut_all("stopping"))
        with client, pytest.raises(ConnectionResetError):
            client.recv(1)
        assert ended(bench).outcome == "stopping"


def test_a_session_counts_and_says_how_it_ended(bench: Bench) -> None:
    with udp_pod() as endpoint, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        proxy = bench.udp(bench.rotation(endpoint), idle_s=0.05)
        client.settimeout(5)
        client.connect((LOCAL, proxy.port))
        client.send(b"question")
        assert client.recv(100) == b"question"
        record = ended(bench)
        assert record.client == client.getsockname()
    assert record.arrived_at == (LOCAL, proxy.port)
    assert (record.moved(), record.outcome) == ((8, 8), "idle")


def test_a_datagram_that_nobody_takes_is_told(bench: Bench) -> None:
    proxy = bench.udp(bench.rotation())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"?", (LOCAL, proxy.port))
        assert ended(bench).outcome == "no endpoints"


class Listening:
    """Writes down what a journal tells."""

    def __init__(self, book: journal.Journal) -> None:
        self.heard: list[tuple[str, int]] = []
        self.stop: Callable[[], None] = book.listen(
            lambda event, record: self.heard.append((event, record.number))
        )


def test_the_ring_is_bounded_and_what_is_open_stays() -> None:
    book = journal.Journal(tally.Tally(), kept=3)
    lasting = book.begin(conftest.TCP, ("10.244.1.7", 1))
    for port in range(2, 10):
        book.end(book.begin(conftest.TCP, ("10.244.1.7", port)), "client closed")
    assert [record.number for record in book] == [7, 8, 9, lasting.number]
    assert book.counts.active_connections == 1


def test_a_record_ends_once() -> None:
    book = journal.Journal(tally.Tally())
    record = book.begin(conftest.TCP, ("10.244.1.7", 1))
    book.end(record, "client closed")
    book.end(record, "stopping")
    assert record.outcome == "client closed"
    assert len(list(book)) == 1


def test_who_listens_hears_every_event_until_he_stops() -> None:
    book = journal.Journal(tally.Tally())
    listening = Listening(book)
    record = book.begin(conftest.TCP, ("10.244.1.7", 1))
    book.announce(record)
    book.connect(record, ("192.168.56.11", 2))
    book.end(record, "client closed")
    listening.stop()
    book.announce(book.begin(conftest.TCP, ("10.244.1.7", 2)))
    assert listening.heard == [("began", 1), ("connected", 1), ("ended", 1)]


def test_a_listener_that_fails_is_nobody_else_s_trouble(caplog: pytest.LogCaptureFixture) -> None:
    book = journal.Journal(tally.Tally())
    book.listen(lambda _event, _record: [][0])
    listening = Listening(book)
    book.end(book.begin(conftest.TCP, ("10.244.1.7", 1)), "client closed")
    assert listening.heard == [("ended", 1)]
    assert "a listener failed at record 1" in caplog.text


def test_quiet_is_when_nothing_is_open() -> None:
    book = journal.Journal(tally.Tally())
    called: list[int] = []
    record = book.begin(conftest.TCP, ("10.244.1.7", 1))
    book.when_quiet(lambda: called.append(1))
    assert called == []
    book.end(record, "client closed")
    assert called == [1]
    book.when_quiet(lambda: called.append(2))
    assert called == [1, 2]


WAYS = {
    ("10.96.20.1", 8080): "clusterIP",
    ("10.96.20.1", 9): "unknown",
    ("203.0.113.5", 8080): "externalIP",
    ("203.0.113.9", 8080): "loadBalancer",
    ("192.168.56.11", 30062): "nodePort",
    ("127.0.0.1", 30062): "nodePort",
    ("192.168.56.11", 40193): "proxyPort",
    None: "unknown",
}


@pytest.mark.parametrize(("asked", "way"), WAYS.items())
def test_the_way_in_is_told_from_what_was_asked_for(asked: ways.Address | None, way: str) -> None:
    import dataclasses

    port = dataclasses.replace(
        conftest.TCP,
        external_ips=(ipaddress.ip_address("203.0.113.5"),),
        ingress_ips=(ipaddress.ip_address("203.0.113.9"),),
    )
    assert ways.find_way(port, asked, AROUND) == way


@pytest.mark.parametrize(
    ("client", "origin"),
    [
        ("192.168.56.11", "host"),
        ("127.0.0.1", "host"),
        ("10.244.1.7", "pod"),
        ("192.168.56.100", "outside"),
    ],
)
def test_where_a_client_stands_is_told_from_its_address(client: str, origin: str) -> None:
    assert ways.find_origin(client, AROUND) == origin


def test_without_cluster_cidr_a_pod_is_not_told_from_outside() -> None:
    assert ways.find_origin("10.244.1.7", ways.Surroundings()) == "pod or outside"


def test_the_chain_follows_from_both() -> None:
    assert ways.find_chain("clusterIP", "pod") == "KUBE-PORTALS-CONTAINER"
    assert ways.find_chain("clusterIP", "host") == "KUBE-PORTALS-HOST"
    assert ways.find_chain("nodePort", "outside") == "KUBE-NODEPORT-CONTAINER"
    assert ways.find_chain("nodePort", "host") == "KUBE-NODEPORT-HOST"
    assert ways.find_chain("proxyPort", "host") == ""


def test_a_record_as_json_is_complete() -> None:
    book = journal.Journal(tally.Tally(), clock=lambda: 5.0, wall=lambda: 1795462208.5)
    record = book.begin(conftest.TCP, ("10.244.1.7", 51324))
    record.asked = ("10.96.20.1", 8080)
    record.failures = ((Endpoint("10.244.2.9", 8080), "no answer in time"),)
    record.choice = balancer.Choice(Endpoint("10.244.2.3", 8080, "app1-1", "node2"), "retry", 2, 2)
    book.connect(record, ("192.168.56.11", 40122))
    book.end(record, "client closed")
    assert json.loads(json.dumps(describe.describe_record(record, AROUND))) == {
        "number": 1,
        "protocol": "TCP",
        "servicePort": "default/app1",
        "client": "10.244.1.7:51324",
        "clientIs": "pod",
        "destination": "10.96.20.1:8080",
        "way": "clusterIP",
        "chain": "KUBE-PORTALS-CONTAINER",
        "endpoint": "10.244.2.3:8080",
        "pod": "app1-1",
        "node": "node2",
        "chosenBy": "retry",
        "position": 2,
        "of": 2,
        "failedDials": [{"endpoint": "10.244.2.9:8080", "why": "no answer in time"}],
        "source": "192.168.56.11:40122",
        "bytesUp": 0,
        "bytesDown": 0,
        "time": "2026-11-23T19:30:08.500000Z",
        "monotonic": {"began": 5.0, "connected": 5.0, "ended": 5.0},
        "state": "ended",
        "outcome": "client closed",
        "detail": "",
    }


def test_only_loopback_is_local() -> None:
    assert http.Request("/debug/journal").is_local
    assert not http.Request("/debug/journal", client="192.168.56.100").is_local


def test_the_journal_asks_once_a_connection_and_never_for_a_chunk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tests/netns/test_agent_journal.py counts real system calls."""
    from labkit.agent import sockets

    calls: list[str] = []
    real = sockets.original_destination

    def counted(sock: socket.socket) -> bytes:
        calls.append("SO_ORIGINAL_DST")
        return real(sock)

    monkeypatch.setattr(sockets, "original_destination", counted)
    with fakes.tcp_pod(echo) as port, contextlib.ExitStack() as stack:
        client = stack.enter_context(socket.create_connection(bench.tcp(pod(port)), timeout=5))
        for _ in range(50):
            client.sendall(b"x")
            assert client.recv(1) == b"x"
    assert calls == ["SO_ORIGINAL_DST"]
