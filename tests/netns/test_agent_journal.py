"""The running agent's /debug, /metrics and stop, and what the journal costs, in a real kernel."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser

from tests.netns.isolation import isolated, run
from tests.netns.test_agent import NODE_IP, Node, comments, endpoints, service
from tests.unit.agent import fakes

POD_IP, BRIDGE_IP = "10.244.1.7", "10.244.1.1"
DEBUG = "http://127.0.0.1:10249"
CIDR = "--cluster-cidr=10.244.0.0/16"


def get(path: str, host: str = DEBUG) -> Any:
    with urllib.request.urlopen(f"{host}{path}", timeout=5) as answer:
        return json.load(answer)


def records(**wanted: Any) -> list[dict[str, Any]]:
    found = get("/debug/journal")["records"]
    return [each for each in found if wanted.items() <= each.items()]


def await_record(**wanted: Any) -> dict[str, Any]:
    """The one record that is so, as soon as there is one: its end may be a moment away."""
    deadline = time.monotonic() + 5
    while not (found := records(**wanted)):
        assert time.monotonic() < deadline, (wanted, get("/debug/journal"))
    [record] = found
    return record


@contextlib.contextmanager
def pod_network() -> Iterator[None]:
    """A network namespace with an address of a pod, behind an interface of the node."""
    run("ip", "netns", "add", "pod")
    try:
        run("ip", "link", "add", "cbr0", "type", "veth", "peer", "name", "eth0", "netns", "pod")
        run("ip", "address", "add", f"{BRIDGE_IP}/24", "dev", "cbr0")
        run("ip", "link", "set", "cbr0", "up")
        for command in (f"address add {POD_IP}/24 dev eth0", "link set eth0 up"):
            run("ip", "-n", "pod", *command.split())
        run("ip", "-n", "pod", "route", "add", "default", "via", BRIDGE_IP)
        yield
    finally:
        run("ip", "netns", "del", "pod")


def ask_from_pod(address: str, port: int) -> None:
    program = (
        "import socket\n"
        f"with socket.create_connection(({address!r}, {port}), 5) as client:\n"
        "    while client.recv(9): pass\n"
    )
    run("ip", "netns", "exec", "pod", sys.executable, "-c", program)


def hear(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address, timeout=5) as client:
        return b"".join(iter(lambda: client.recv(100), b""))


@isolated
def test_the_journal_knows_every_way_in() -> None:
    node = Node()
    with pod_network(), fakes.tcp_pod(lambda pod: pod.sendall(b"ok"), NODE_IP) as port:
        app1 = service("app1", "10.96.20.1", nodePort=30062)
        app1["spec"]["externalIPs"] = [NODE_IP]
        app1["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
        node.api.put(app1)
        node.api.put(endpoints("app1", port))
        with node.agent(CIDR):
            node.await_rules(comments)
            for address, way in (
                (("10.96.20.1", 80), "clusterIP"),
                ((NODE_IP, 80), "externalIP"),
                (("203.0.113.9", 80), "loadBalancer"),
                ((NODE_IP, 30062), "nodePort"),
            ):
                assert hear(address) == b"ok"
                ask_from_pod(*address)
                for origin, side in (("host", "HOST"), ("pod", "CONTAINER")):
                    found = await_record(way=way, clientIs=origin, state="ended")
                    kind = "NODEPORT" if way == "nodePort" else "PORTALS"
                    assert found["chain"] == f"KUBE-{kind}-{side}"
                    assert found["destination"] == f"{address[0]}:{address[1]}"
                    assert found["endpoint"] == f"{NODE_IP}:{port}"
                    assert found["bytesDown"] == 2
                    assert found["outcome"] == "endpoint closed"
            clients = [found["client"] for found in records(clientIs="pod")]
            assert [client.split(":")[0] for client in clients] == [POD_IP] * 4


@isolated
def test_a_datagram_s_destination_is_found_in_connection_tracking() -> None:
    node = Node()
    with pod_network():
        node.api.put(service("dns", "10.96.20.1", "UDP", nodePort=30053))
        node.api.put(endpoints("dns", 5353))
        with node.agent(CIDR, "--udp-timeout=5s"):
            node.await_rules(comments)
            with (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pod,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
            ):
                pod.bind((NODE_IP, 5353))
                pod.settimeout(5)
                client.sendto(b"question", ("10.96.20.1", 80))
                _, source = pod.recvfrom(100)
                client.sendto(b"question", (NODE_IP, 30053))
                pod.recvfrom(100)
                found = await_record(way="clusterIP", destination="10.96.20.1:80")
                assert found["source"] == f"{source[0]}:{source[1]}"
                assert found["chain"] == "KUBE-PORTALS-HOST"
                assert found["bytesUp"] == 8
                await_record(way="nodePort", destination=f"{NODE_IP}:30053")
                assert len(get("/debug/proxy")["udpFlows"]) == 2


@isolated
def test_the_proxy_tells_its_state_over_loopback_only() -> None:
    node = Node()
    app1 = service("app1", "10.96.20.1", nodePort=30062)
    app1["spec"]["sessionAffinity"] = "ClientIP"
    with fakes.tcp_pod(lambda pod: pod.sendall(b"ok"), NODE_IP) as port:
        node.api.put(app1)
        node.api.put(endpoints("app1", port))
        with node.agent("--metrics-bind-address=0.0.0.0:10249"):
            node.await_rules(comments)
            assert hear(("10.96.20.1", 80)) == b"ok"
            found = get("/debug/proxy")
            with pytest.raises(urllib.error.HTTPError, match="403"):
                get("/debug/proxy", f"http://{NODE_IP}:10249")
            rules = run("iptables-save")
    [port_state] = found["servicePorts"]
    assert found["held"] == [
        {"address": "", "port": 30062, "protocol": "TCP", "owner": "default/app1"}
    ]
    assert [each["way"] for each in port_state["portals"]] == ["clusterIP", "nodePort"]
    assert f"--to-ports {found['listeners'][0]['proxyPort']}" in rules
    assert all(each["rule"] in rules for each in port_state["rules"])
    assert port_state["nextPosition"] == 1
    assert [each["client"] for each in port_state["affinity"]] == [NODE_IP]


@isolated
def test_the_stream_tells_as_it_happens() -> None:
    node = Node()
    node.api.put(service("app1", "10.96.20.1"))
    with node.agent():
        node.await_rules(comments)
        with urllib.request.urlopen(f"{DEBUG}/debug/journal?watch=true", timeout=5) as stream:
            assert json.loads(stream.readline())["event"] == "snapshot"
            with socket.socket() as client, pytest.raises(ConnectionResetError):
                fakes.ask(client, ("10.96.20.1", 80))
            told = [json.loads(stream.readline()) for _ in range(2)]
    assert [each["event"] for each in told] == ["began", "ended"]
    assert told[1]["record"]["outcome"] == "no endpoints"
    assert told[1]["record"]["way"] == "clusterIP"


@isolated
def test_metrics_of_a_running_agent_are_real() -> None:
    node = Node()
    node.api.put(service("app1", "10.96.20.1"))
    with node.agent():
        node.await_rules(comments)
        deadline = time.monotonic() + 5
        while not (values := read_metrics())["kubeproxy_sync_proxy_rules_last_timestamp_seconds"]:
            assert time.monotonic() < deadline
    assert values["kubeproxy_sync_proxy_rules_duration_seconds_count"] >= 1
    assert values["kubeproxy_sync_proxy_rules_service_changes_total"] == 1
    assert values["kubeproxy_sync_proxy_rules_service_changes_pending"] == 0
    assert values["rest_client_requests_total"] >= 2
    assert abs(values["process_start_time_seconds"] - time.time()) < 30


def read_metrics() -> dict[str, float]:
    """Values by name; of samples that differ in labels, the last."""
    with urllib.request.urlopen(f"{DEBUG}/metrics", timeout=5) as answer:
        families = parser.text_string_to_metric_families(answer.read().decode())
        return {each.name: each.value for family in families for each in family.samples}


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


@contextlib.contextmanager
def talking(*flags: str) -> Iterator[tuple[Node, subprocess.Popen[bytes], socket.socket]]:
    """An agent that has been told to stop while a client talks through it."""
    node = Node()
    with fakes.tcp_pod(echo, NODE_IP) as port:
        node.api.put(service("app1", "10.96.20.1", nodePort=30062))
        node.api.put(endpoints("app1", port))
        with node.agent(*flags) as process:
            node.await_rules(comments)
            with socket.create_connection(("10.96.20.1", 80), timeout=5) as client:
                say(client)
                process.terminate()
                await_refusal(("10.96.20.1", 80))
                yield node, process, client


def say(client: socket.socket) -> None:
    client.sendall(b"x")
    assert client.recv(1) == b"x"


def await_refusal(address: tuple[str, int]) -> None:
    """Knock until nobody is let in any more: TERM takes effect in a moment, not at once."""
    deadline = time.monotonic() + 5
    with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
        while time.monotonic() < deadline:
            socket.create_connection(address, timeout=5).close()
        raise AssertionError("the agent goes on accepting")


@isolated
def test_a_stop_lets_open_connections_end_by_themselves() -> None:
    with talking("--drain-timeout=30s") as (node, process, client):
        say(client)
        assert process.poll() is None
        with pytest.raises(urllib.error.HTTPError, match="503"):
            get("/healthz", f"http://{NODE_IP}:10256")
        assert comments(node.ruleset())  # they wait for the next process
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        assert process.wait(5) == 0


@isolated
def test_a_stop_resets_what_is_open_when_its_time_is_over() -> None:
    with talking("--drain-timeout=300ms") as (_, process, client):
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert process.wait(5) == 0


@isolated
def test_a_second_TERM_ends_at_once() -> None:
    with talking("--drain-timeout=30s") as (_, process, client):
        process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert process.wait(5) == 0


CONNECTIONS, CHUNKS = 10, 50


@pytest.mark.skipif(not shutil.which("strace"), reason="apt-get install strace: it counts")
@isolated
def test_what_a_connection_costs_in_system_calls() -> None:
    """The journal's own are one getsockopt and one getsockname; none for what is carried."""
    node = Node()
    with fakes.tcp_pod(echo, NODE_IP) as port:
        node.api.put(service("app1", "10.96.20.1"))
        node.api.put(endpoints("app1", port))
        with node.agent() as process:
            node.await_rules(comments)
            few = count_calls(process.pid, lambda: carry(1))
            many = count_calls(process.pid, lambda: carry(1 + CHUNKS))
    assert few["getsockopt"] == many["getsockopt"] == CONNECTIONS
    # One is the journal's; the other Python's own, for each socket that it accepts.
    assert few["getsockname"] == many["getsockname"] == 2 * CONNECTIONS
    more = {name: (many[name] - few.get(name, 0)) / (CONNECTIONS * CHUNKS) for name in many}
    assert {name for name, times in more.items() if times > 0.1} == {
        "recvfrom",
        "sendto",
        "epoll_wait",
    }
    # A chunk goes there and comes back; one answer over /debug may be among the many.
    assert more["sendto"] == pytest.approx(2, abs=0.01)


def carry(chunks: int) -> int:
    """Returns how often the agent had to be asked whether it was over."""
    for _ in range(CONNECTIONS):
        with socket.create_connection(("10.96.20.1", 80), timeout=5) as client:
            for _ in range(chunks):
                say(client)
    deadline = time.monotonic() + 5
    asked = 1
    while records(state="connected"):
        assert time.monotonic() < deadline
        asked += 1
    return asked


def count_calls(pid: int, work: Callable[[], int]) -> dict[str, int]:
    """System calls that a process makes while `work` is done, by name.

    Without the getsockname of each connection over which it was asked something.
    """
    argv = ["strace", "-f", "-c", "-U", "name,calls", "-o", "/run/counts", "-p", str(pid)]
    strace = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    assert strace.stderr is not None
    assert "attached" in strace.stderr.readline()
    try:
        asked = work()
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(10)
        strace.stderr.close()
    found = re.findall(r"^(\w+) +(\d+)$", Path("/run/counts").read_text(), re.M)
    counts = {name: int(count) for name, count in found}
    del counts["total"]
    counts["getsockname"] -= asked
    return counts
