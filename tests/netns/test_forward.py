"""`kubectl port-forward`: from the learner's machine into a pod, as they type it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator

from labkit.model import resources
from tests.netns import command, podlet_node
from tests.netns import kubectl as kubectl_of
from tests.netns.isolation import isolated

pytestmark = [command.needs_kubectl]

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "app1", "namespace": "default"},
    "spec": {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"name": "app1-1"}},
}


@contextlib.contextmanager
def forwarding(node: podlet_node.Node, what: str, port: int) -> Iterator[tuple[int, list[str]]]:
    """The local port, and what kubectl complains, as it comes."""
    argv = kubectl_of.argv(node, "port-forward", what, f":{port}")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    complaints: list[str] = []
    try:
        found = re.search(r"127\.0\.0\.1:(\d+) -> ", process.stdout.readline())
        assert found, process.communicate()
        yield int(found[1]), complaints
    finally:
        process.terminate()
        complaints += process.communicate(timeout=10)[1].splitlines()


def ask(port: int, path: str = "/") -> object:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


@isolated
def test_a_service_by_way_of_one_of_its_pods() -> None:
    with podlet_node.running() as node:
        node.create_pod("app1-1")
        node.wait_ready("app1-1")
        node.client.create(resources.SERVICES, SERVICE)
        with forwarding(node, "svc/app1", 80) as (port, complaints):
            for _ in range(3):
                assert ask(port)["pod"] == "app1-1"  # type: ignore[index]
            answers: list[object] = []
            threads = [threading.Thread(target=lambda: answers.append(ask(port))) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(answers) == 8
        assert complaints == []


def exchange(port: int, data: bytes) -> bytes:
    """What comes back for all this."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


#: Sends back what it gets, once it has got all of it.
ECHO = """
import socket
with socket.create_server(("127.0.0.1", 9000)) as listener:
    while True:
        sock, _ = listener.accept()
        data = b"".join(iter(lambda: sock.recv(65536), b""))
        sock.sendall(data)
        sock.close()
"""


@isolated
def test_bytes_arrive_whole_and_halves_are_closed_alone() -> None:
    """The program listens on the pod's own loopback, which nobody else can reach."""
    with podlet_node.running() as node:
        node.create_pod("a", image="labkit/host", command=[podlet_node.PYTHON, "-c", ECHO])
        node.wait_ready("a")
        node.wait_until(
            lambda: ":9000" in kubectl_of.kubectl(node, "exec", "a", "--", "ss", "-tln")
        )
        data = os.urandom(3_000_000)
        with forwarding(node, "pod/a", 9000) as (port, complaints):
            back = exchange(port, data)
        assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()
        assert complaints == []


@isolated
def test_a_port_at_which_nobody_listens() -> None:
    with podlet_node.running() as node:
        node.create_pod("a")
        node.wait_ready("a")
        with forwarding(node, "pod/a", 9999) as (port, complaints):
            assert exchange(port, b"") == b""
        told = "\n".join(complaints)
        assert "error forwarding port 9999 to pod a" in told
        assert "Connection refused" in told
