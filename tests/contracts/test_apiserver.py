"""The API server as a process: starts, ends, dies, comes back, and who may speak to it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts import apiserver

SERVICES = "/api/v1/namespaces/default/services"
APP1 = {
    "metadata": {"name": "app1"},
    "spec": {"type": "NodePort", "ports": [{"port": 8080, "nodePort": 30062}]},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[apiserver.Server]:
    with apiserver.running(tmp_path) as made:
        yield made


@contextlib.contextmanager
def watch(server: apiserver.Server, path: str) -> Iterator[Iterator[Any]]:
    """The events of a watch as they come."""
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", path, headers={"Authorization": "Bearer admin"})
        with connection.getresponse() as response:
            yield (json.loads(line) for line in response)


def refused_start(server: apiserver.Server, *more: str) -> tuple[int, str]:
    done = subprocess.run(
        server.argv(*more), capture_output=True, text=True, timeout=20, check=False
    )
    return done.returncode, done.stderr


class TestLife:
    def test_term_ends_it_in_good_order_in_spite_of_a_watch(self, server: apiserver.Server) -> None:
        with watch(server, f"{SERVICES}?watch=1") as events:
            assert next(events)["type"] == "ADDED"
            assert server.stop() == 0
            assert list(events) == []

    def test_state_survives_a_kill_and_watches_resume(self, server: apiserver.Server) -> None:
        _, made = server.request("POST", SERVICES, APP1)
        revision = made["metadata"]["resourceVersion"]
        server.stop(kill=True)
        server.start()
        _, found = server.request("GET", f"{SERVICES}/app1")
        assert found["spec"] == made["spec"]
        clash = {**APP1, "metadata": {"name": "app2"}}
        status, refused = server.request("POST", SERVICES, clash)
        assert (status, refused["reason"]) == (422, "Invalid")
        with watch(server, f"{SERVICES}?watch=1&resourceVersion={revision}") as events:
            server.request("DELETE", f"{SERVICES}/app1")
            event = next(events)
            assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "app1")

    def test_a_watch_from_before_the_restart_is_gone(self, server: apiserver.Server) -> None:
        _, made = server.request("POST", SERVICES, APP1)
        server.request("DELETE", f"{SERVICES}/app1")
        server.stop(kill=True)
        server.start()
        revision = made["metadata"]["resourceVersion"]
        with watch(server, f"{SERVICES}?watch=1&resourceVersion={revision}") as events:
            event = next(events)
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)

    def test_the_length_of_the_history_is_an_option(self, tmp_path: Path) -> None:
        with apiserver.running(tmp_path, "--watch-history=2") as server:
            _, listed = server.request("GET", SERVICES)
            for number in range(4):
                body = {"metadata": {"name": f"s{number}"}, "spec": {"ports": [{"port": 1}]}}
                server.request("POST", SERVICES, body)
            revision = listed["metadata"]["resourceVersion"]
            with watch(server, f"{SERVICES}?watch=1&resourceVersion={revision}") as events:
                assert next(events)["object"]["reason"] == "Expired"


class TestCallers:
    @pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version"])
    def test_health_and_version_are_for_everybody(
        self, server: apiserver.Server, path: str
    ) -> None:
        with contextlib.closing(server.connect()) as connection:
            connection.request("GET", path)
            assert connection.getresponse().status == 200

    def test_the_rest_is_not(self, server: apiserver.Server) -> None:
        for token in ("", "wrong"):
            status, refused = server.request("GET", SERVICES, token=token)
            assert (status, refused["reason"]) == (401, "Unauthorized")

    def test_a_client_certificate_is_a_user(self, server: apiserver.Server) -> None:
        status, _ = server.request("POST", SERVICES, APP1, token="", certificate="ann")
        assert status == 201

    def test_a_certificate_of_somebody_else_is_not_accepted(self, server: apiserver.Server) -> None:
        apiserver.sign("mallory", None, "system:masters").write(server.folder, "mallory")
        with pytest.raises(OSError, match=r"(?i)certificate|alert|closed connection|reset"):
            server.request("GET", SERVICES, token="", certificate="mallory")

    def test_bytes_that_are_no_tls_do_no_harm(self, server: apiserver.Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b"HTTP" not in raw.recv(1000)
        assert server.request("GET", SERVICES)[0] == 200


class TestRefusedStarts:
    def test_a_taken_port(self, server: apiserver.Server) -> None:
        code, text = refused_start(server, f"--secure-port={server.port}")
        assert code == 7
        assert f"kube-apiserver: port {server.port} of 127.0.0.1 is taken" in text
        assert "Traceback" not in text

    def test_an_address_of_another_machine(self, tmp_path: Path) -> None:
        code, text = refused_start(apiserver.prepare(tmp_path), "--bind-address=192.0.2.1")
        assert code == 2
        assert "cannot listen on 192.0.2.1:0: Cannot assign requested address" in text

    def test_a_key_that_does_not_fit(self, tmp_path: Path) -> None:
        server = apiserver.prepare(tmp_path)
        code, text = refused_start(server, f"--tls-private-key-file={tmp_path / 'ca.key'}")
        assert code == 2
        assert "cannot use the certificate" in text

    def test_no_certificate(self, tmp_path: Path) -> None:
        server = apiserver.prepare(tmp_path)
        code, text = refused_start(server, "--tls-cert-file=/nonexistent")
        assert code == 2
        assert "/nonexistent" in text

    @pytest.mark.parametrize("content", [None, "[", '{"secret": {}}'])
    def test_a_token_file_that_is_none(self, tmp_path: Path, content: str | None) -> None:
        server = apiserver.prepare(tmp_path)
        tokens = tmp_path / "tokens.json"
        tokens.unlink() if content is None else tokens.write_text(content)
        code, text = refused_start(server)
        assert code == 2
        assert f"--token-auth-file {tokens}: " in text
        assert "secret" not in text

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        server = apiserver.prepare(tmp_path)
        code, text = refused_start(server, f"--data-dir={tmp_path / 'ca.crt' / 'data'}")
        assert code == 2
        assert "--data-dir" in text

    @pytest.mark.parametrize(
        "flag", ["--service-node-port-range=5-1", "--service-cluster-ip-range=x", "--what=1"]
    )
    def test_a_flag_that_cannot_be(self, tmp_path: Path, flag: str) -> None:
        code, text = refused_start(apiserver.prepare(tmp_path), flag)
        assert code == 2
        assert flag.partition("=")[0] in text
