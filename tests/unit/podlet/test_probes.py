"""Probes: how they are read, how results are counted, and each way of asking, on real sockets."""

from __future__ import annotations

import dataclasses
import http.server
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from labkit.podlet import network, probes, state
from tests.unit.podlet import samples
from tests.unit.podlet.samples import NOW


def test_kubelets_defaults() -> None:
    (probe,) = probes.parse_probes({"image": "x", "readinessProbe": {"httpGet": {"port": 80}}})
    assert probe == probes.Probe("Readiness", "httpGet", port=80)
    assert (probe.period_s, probe.timeout_s, probe.failures_allowed) == (10, 1, 3)


def test_all_that_can_be_said() -> None:
    spec = {
        "image": "x",
        "ports": [{"name": "web", "containerPort": 8080}],
        "livenessProbe": {"tcpSocket": {"port": "web"}, "initialDelaySeconds": 3},
        "readinessProbe": {
            "httpGet": {
                "port": "web",
                "host": "h",
                "path": "/ok",
                "scheme": "HTTPS",
                "httpHeaders": [{"name": "A", "value": "b"}],
            },
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "successThreshold": 4,
            "failureThreshold": 5,
        },
    }
    live, ready = probes.parse_probes(spec)
    assert live == probes.Probe("Liveness", "tcpSocket", port=8080, initial_delay_s=3)
    assert ready == probes.Probe(
        "Readiness",
        "httpGet",
        port=8080,
        host="h",
        path="/ok",
        scheme="HTTPS",
        headers=(("A", "b"),),
        period_s=1,
        timeout_s=2,
        successes_needed=4,
        failures_allowed=5,
    )


def test_without_a_readiness_probe_the_first_tcp_port_stands_in() -> None:
    ports = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 80}]
    (probe,) = probes.parse_probes({"image": "labkit/host", "ports": ports})
    assert (probe.way, probe.port, probe.is_instant) == ("listen", 80, True)
    (probe,) = probes.parse_probes({"image": "labkit/echo"})
    assert probe.port == 8080
    assert probes.parse_probes({"image": "labkit/host"}) == ()


def test_a_verdict_takes_as_many_results_in_a_row_as_it_is_told() -> None:
    probe = probes.Probe("Readiness", "tcpSocket", successes_needed=2, failures_allowed=3)
    tally = probes.begin(probe, NOW, ready=False)
    verdicts = []
    for success in (True, False, True, True, False, False, True, False, False, False):
        tally = probes.count(probe, tally, success=success, now=NOW)
        verdicts.append(tally.good)
    assert verdicts == [False, False, False] + [True] * 6 + [False]
    assert tally.due == NOW + 10


def test_a_container_lives_until_the_contrary_is_shown() -> None:
    alive = probes.Probe("Liveness", "exec", initial_delay_s=7)
    tally = probes.begin(alive, NOW, ready=False)
    assert tally.good
    assert tally.due == NOW + 7
    assert probes.begin(probes.Probe("Readiness", "exec"), NOW, ready=True).good


def test_a_young_container_is_looked_at_often_and_a_ready_one_seldom() -> None:
    probe = probes.Probe("Readiness", "listen", port=80)
    tally = probes.begin(probe, NOW, ready=False)
    assert probes.count(probe, tally, success=False, now=NOW).due - NOW == pytest.approx(0.005)
    assert probes.count(probe, tally, success=False, now=NOW + 10).due - NOW == pytest.approx(10.2)
    assert probes.count(probe, tally, success=True, now=NOW).due == NOW + 10
    ready = dataclasses.replace(tally, good=True)
    assert not probes.count(probe, ready, success=False, now=NOW).good


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]) if self.headers["X-Ask"] == "yes" else 400)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def attempt(way: probes.Way, **fields: Any) -> str:
    return probes.attempt(probes.Probe("Readiness", way, **fields), "127.0.0.1", samples.run(), {})


@pytest.mark.parametrize(
    ("path", "why"),
    [("/200", ""), ("/302", ""), ("/500", "HTTP probe failed with statuscode: 500")],
)
def test_http_statuses(port: int, path: str, why: str) -> None:
    assert attempt("httpGet", port=port, path=path, headers=(("X-Ask", "yes"),)) == why


def test_connections(port: int) -> None:
    assert attempt("tcpSocket", port=port) == ""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    assert attempt("tcpSocket", port=free) == f"127.0.0.1:{free}: Connection refused"


def test_what_is_not_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            client.sendall(b"220 smtp\r\n")
            client.recv(1024)
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        number = server.getsockname()[1]
        assert attempt("httpGet", port=number) == "the answer is not HTTP"
        thread.join()


def test_a_command_needs_a_container() -> None:
    assert attempt("exec", command=("true",)) == "the container has ended"


def test_the_kernels_table_tells_who_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = samples.run(pid=os.getpid(), ticks=state.ticks_of(os.getpid()))
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        assert not probes.is_listening(ours, number), "the node's own ports do not count"
        monkeypatch.setattr(network, "is_elsewhere", lambda _: True)
        assert probes.is_listening(ours, number)
    assert not probes.is_listening(ours, number)
    assert not probes.is_listening(samples.run(pid=2**22 + 1), number)
