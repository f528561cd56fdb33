"""Whether a machine reaches an API server: every reason in words."""

from __future__ import annotations

import socket
import threading

import pytest

from labkit.deploy import health, reach
from tests.unit.client import scripted
from tests.unit.client.conftest import authority, server  # noqa: F401


def test_one_that_is_meant(server: scripted.Server) -> None:  # noqa: F811
    assert reach.explain("127.0.0.1", server.port, "127.0.0.1", server.config.ca_pem) == ""
    assert reach.explain("127.0.0.1", server.port, "", "") == "", "without TLS nothing is asked"


def test_one_that_is_another(server: scripted.Server) -> None:  # noqa: F811
    stranger = reach.explain("127.0.0.1", server.port, "127.0.0.1", "")
    assert "its certificate does not convince" in stranger
    name = reach.explain("127.0.0.1", server.port, "elsewhere", server.config.ca_pem)
    assert "elsewhere" in name


def test_one_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert reach.explain("127.0.0.1", port, "x", "") == "Connection refused"
    assert "is not known there" in reach.explain("no-such-name.invalid", 1, "x", "")


def test_one_that_speaks_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"220 hello\r\n" * 10)
                sock.recv(1000)

        thread = threading.Thread(target=greet)
        thread.start()
        why = reach.explain("127.0.0.1", listener.getsockname()[1], "x", "")
        thread.join()
    assert "does not speak TLS" in why


def test_one_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "WITHIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        why = reach.explain("127.0.0.1", listener.getsockname()[1], "x", "")
    assert "no answer within" in why


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_loopback_address_is_explained(host: str) -> None:
    assert "is each node itself" in health._explain_address(host)
    assert "is each node itself" not in health._explain_address("kube.example")
