"""A stop of kube-proxy where it runs: under its supervisor, by the words of node.sh."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import lab
from labkit.deploy import install
from labkit.model import commands

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

#: Connects and sends half a request, says so on a pipe, and sends the rest at a word on another.
ASK_IN_TWO_HALVES = """
import socket
client = socket.create_connection(("192.168.56.11", 30062), timeout=20)
client.sendall(b"GET / HTTP/1.1\\r\\n")
open("/run/half", "w").write("sent")
open("/run/rest").read()
client.sendall(b"Host: app1\\r\\nConnection: close\\r\\n\\r\\n")
print(b"".join(iter(lambda: client.recv(4096), b"")).decode())
"""
#: Ends when nobody lets us in any more.
UNTIL_REFUSED = """
import socket
try:
    while True:
        socket.create_connection(("192.168.56.11", 30062), timeout=20).close()
except ConnectionRefusedError:
    pass
"""


@pytest.fixture
def opened(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[lab.Lab]:
    monkeypatch.chdir(tmp_path)
    Path("labkit.toml").write_text('[proxy.flags]\ndrain-timeout = "30s"\n')
    made = lab.open_lab("t")
    made.up()
    yield made
    made.down(purge=True)


def test_a_stop_waits_for_a_connection_that_is_open(opened: lab.Lab) -> None:
    answers: list[commands.Command] = []

    def ask() -> None:
        answers.append(opened.exec("client", ["/usr/bin/python3", "-c", ASK_IN_TWO_HALVES]))

    opened.exec("client", ["mkfifo", "/run/half", "/run/rest"])
    asking = threading.Thread(target=ask)
    stopping = threading.Thread(
        target=lambda: install.stop_units(opened.pool, ["node1"], ["kube-proxy"])
    )
    asking.start()
    opened.exec("client", ["cat", "/run/half"])
    stopping.start()
    opened.exec("client", ["/usr/bin/python3", "-c", UNTIL_REFUSED])
    assert stopping.is_alive(), "it waits for the connection"
    opened.exec("client", ["sh", "-c", "echo go >/run/rest"])
    for thread in (asking, stopping):
        thread.join()
    assert answers[0].stdout.startswith("HTTP/1.1 200 OK"), answers[0]
    said = opened.logs("node1/kube-proxy", lines=2).splitlines()
    assert [line.partition(" ")[2].partition(" ")[2] for line in said] == [
        "stopping: 1 open, for at most 30 s",
        "stopped",
    ]
