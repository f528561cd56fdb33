"""Slow, broken and greedy clients against a real server: each is bounded, and nobody else waits.

The limits are those of `labkit.apiserver.connections`, made shorter for the test where waiting for
the real ones would take minutes; `tests/unit/apiserver/test_connections.py` has the real ones.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit.apiserver import discovery, kinds
from tests.contracts import apiserver

#: Starts the server with other limits: the first word is JSON.
LAUNCH = """
import json, sys
from labkit.apiserver import connections, main, serve
limits = json.loads(sys.argv.pop(1))
for name in limits:
    vars(serve if hasattr(serve, name) else connections)[name] = limits[name]
connections.LIMITS_S = {
    "idle": connections.IDLE_S, "header": connections.HEADER_S,
    "body": connections.BODY_S, "rest": connections.REST_S,
}
sys.exit(main.main())
"""
SHORT = {"IDLE_S": 3, "HEADER_S": 1, "BODY_S": 1, "REST_S": 1, "STALLED_S": 1, "HANDSHAKE_S": 1}
#: The sweep comes once a second; the rest is for a busy machine.
PATIENCE_S = 8.0
SERVICES = "/api/v1/namespaces/default/services"
MAPS = "/api/v1/namespaces/default/configmaps"
AUTH = b"Host: x\r\nAuthorization: Bearer admin\r\n"


class Server(apiserver.Server):
    """A server with limits of its own."""

    def argv(self, *more: str) -> list[str]:
        limits = json.dumps(SHORT)
        return [sys.executable, "-c", LAUNCH, limits, *super().argv(*more)[3:]]

    @contextlib.contextmanager
    def dial(self, *, tls: bool = True) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as raw:
            if not tls:
                yield raw
                return
            context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as sock:
                yield sock

    def median_s(self, times: int = 15) -> float:
        """How long another client waits for a small answer on a connection of its own."""
        taken = []
        for _ in range(times):
            begun = time.perf_counter()
            assert self.request("GET", f"{SERVICES}/kubernetes")[0] == 200
            taken.append(time.perf_counter() - begun)
        return statistics.median(taken)

    @property
    def resident_kb(self) -> int:
        assert self.process
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(text.partition("\nPss:")[2].split()[0])

    @property
    def descriptors(self) -> int:
        assert self.process
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("attacked")
    made = Server(apiserver.prepare(folder).folder)
    made.start("--v=10")
    try:
        yield made
    finally:
        made.stop()
    text = "".join(made.log)
    assert "Traceback" not in text, text


def ended(sock: socket.socket) -> bytes:
    """All that still comes, to the end of the connection."""
    received = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := sock.recv(65536):
            received += piece
    return received


def code_of(answer: bytes) -> int:
    return int(answer.split()[1])


@contextlib.contextmanager
def promptly(server: Server) -> Iterator[None]:
    """Whatever happens in the block, others are served about as fast as before it."""
    before = server.median_s()
    yield
    assert server.median_s() < max(5 * before, 0.1)


class TestSlowClients:
    def test_a_header_that_drips(self, server: Server) -> None:
        with promptly(server), contextlib.ExitStack() as open_:
            dripping = []
            for _ in range(50):
                dripping.append(open_.enter_context(server.dial()))
                # At once: to who writes when its time is up the kernel says so, and not the server.
                dripping[-1].sendall(b"GET /healthz HTTP/1.1\r\n")
                dripping[-1].sendall(b"A")
            assert server.median_s() < 0.5
            for sock in dripping:
                assert code_of(ended(sock)) == 408

    def test_a_body_that_drips(self, server: Server) -> None:
        with promptly(server), server.dial() as sock:
            sock.sendall(b"POST " + MAPS.encode() + b" HTTP/1.1\r\n" + AUTH)
            sock.sendall(b"Content-Length: 1000\r\n\r\n{")
            answer = ended(sock)
            assert code_of(answer) == 408
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["kind"] == "Status"

    def test_a_handshake_that_is_never_finished(self, server: Server) -> None:
        with promptly(server), contextlib.ExitStack() as open_:
            silent = [open_.enter_context(server.dial(tls=False)) for _ in range(50)]
            silent[0].sendall(b"\x16\x03\x01\x02\x00\x01")
            assert server.median_s() < 0.5
            for sock in silent:
                assert ended(sock) == b""

    def test_idle_connections_end(self, server: Server) -> None:
        with server.dial() as fresh, server.dial() as used:
            used.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert code_of(used.recv(1000)) == 200
            assert ended(fresh) == b""
            assert ended(used) in (b"", b"ok")

    def test_a_watch_that_nobody_reads(self, server: Server) -> None:
        """It costs some hundred kilobytes for a while, and then it is over."""
        before_kb = server.resident_kb
        with promptly(server), contextlib.ExitStack() as open_:
            deaf = [open_.enter_context(server.dial()) for _ in range(20)]
            for sock in deaf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.sendall(b"GET " + MAPS.encode() + b"?watch=1 HTTP/1.1\r\n" + AUTH + b"\r\n")
            connections = server.descriptors
            body: dict[str, Any] = {"metadata": {"name": "big"}, "data": {"text": "x" * 200_000}}
            server.request("POST", MAPS, body)
            for number in range(30):
                body["metadata"] = {"name": "big", "labels": {"number": str(number)}}
                assert server.request("PUT", f"{MAPS}/big", body)[0] == 200
            deadline = time.monotonic() + PATIENCE_S
            while server.descriptors > connections - 20:
                assert time.monotonic() < deadline, "they still hold their connections"
                server.request("GET", "/version", token="")
        server.request("DELETE", f"{MAPS}/big")
        assert server.resident_kb - before_kb < 60 * 1024


class TestBrokenClients:
    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            (b"\x00\xff" * 100 + b"\r\n\r\n", 400),
            (b"GET\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000, 431),
            (b"GET /" + b"a" * 70_000, 431),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: a\r\n" * 20_000, 431),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 401),
        ],
    )
    def test_garbage_within_tls(self, server: Server, sent: bytes, code: int) -> None:
        with promptly(server), server.dial() as sock:
            with contextlib.suppress(OSError):
                sock.sendall(sent)
            assert code_of(ended(sock)) in (code, 400)

    def test_garbage_instead_of_tls(self, server: Server) -> None:
        with promptly(server):
            for sent in (b"\x00" * 1000, b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 100):
                with server.dial(tls=False) as sock, contextlib.suppress(ConnectionError):
                    sock.sendall(sent)
                    assert b"HTTP" not in ended(sock)

    def test_clients_that_hang_up_with_a_reset(self, server: Server) -> None:
        with promptly(server):
            for _ in range(50):
                with server.dial(tls=False) as raw:
                    context = ssl.create_default_context(cafile=str(server.folder / "ca.crt"))
                    sock = context.wrap_socket(raw, server_hostname="127.0.0.1")
                    sock.sendall(
                        b"GET " + MAPS.encode() + b"?watch=1 HTTP/1.1\r\n" + AUTH + b"\r\n"
                    )
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    sock.close()

    def test_http_1_0(self, server: Server) -> None:
        with server.dial() as sock:
            sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            answer = ended(sock)
            assert (code_of(answer), answer[-2:]) == (200, b"ok")

    def test_pipelined_requests_are_answered_in_order(self, server: Server) -> None:
        paths = [b"/healthz", b"/version", b"/nowhere", b"/livez"]
        with server.dial() as sock:
            sock.sendall(b"".join(b"GET " + p + b" HTTP/1.1\r\n" + AUTH + b"\r\n" for p in paths))
            answers = ended(sock)
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"200", b"404", b"200"]


class TestGreedyClients:
    def post(self, server: Server, head: bytes, pieces: Iterator[bytes]) -> bytes:
        with server.dial() as sock:
            sock.sendall(b"POST " + MAPS.encode() + b" HTTP/1.1\r\n" + AUTH + head + b"\r\n\r\n")
            with contextlib.suppress(OSError):
                for piece in pieces:
                    sock.sendall(piece)
            return ended(sock)

    def test_a_body_that_is_too_long(self, server: Server) -> None:
        with promptly(server):
            pieces = (b"x" * 65536 for _ in range(49))
            answer = self.post(server, b"Content-Length: 3211264", pieces)
            assert code_of(answer) == 413
            refused = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert refused["reason"] == "RequestEntityTooLarge"

    def test_chunks_without_end(self, server: Server) -> None:
        """It is cut off in the end, and holds up nobody meanwhile."""
        begun = time.monotonic()
        with promptly(server):
            chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            self.post(server, b"Transfer-Encoding: chunked", iter(lambda: chunk, None))
        assert time.monotonic() - begun < PATIENCE_S * 2

    def test_a_bomb_of_zeros_is_not_unpacked(self, server: Server) -> None:
        packed = gzip.compress(b"0" * 300_000_000)
        before_kb = server.resident_kb
        with promptly(server):
            head = b"Content-Encoding: gzip\r\nContent-Type: application/json\r\n"
            head += f"Connection: close\r\nContent-Length: {len(packed)}".encode()
            assert code_of(self.post(server, head, iter([packed]))) in (400, 415)
        assert server.resident_kb - before_kb < 20 * 1024

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 1_000_000,
            b'{"data":' * 300_000,
            b'{"metadata":{"generation":' + b"9" * 1_000_000 + b"}}",
            b'{"metadata":{"name":"' + b"\\u0041" * 400_000 + b'"}}',
        ],
    )
    def test_json_that_is_a_bomb(self, server: Server, body: bytes) -> None:
        with promptly(server):
            head = f"Connection: close\r\nContent-Length: {len(body)}".encode()
            head += b"\r\nContent-Type: application/json"
            assert code_of(self.post(server, head, iter([body]))) in (400, 422)

    @pytest.mark.timeout(180)
    def test_two_thousand_connections(self, server: Server) -> None:
        """Held by a process of its own, in less than a hundred megabytes, and given back."""
        before, before_kb = server.descriptors, server.resident_kb
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(server.folder / "ca.crt"), str(server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdout
        held = int(holder.stdout.readline())
        assert held == 2000
        # Idle ones end after three seconds here, so that not all are there at the same time.
        assert server.resident_kb - before_kb < 100 * 1024
        assert server.median_s() < 0.5
        holder.communicate()
        deadline = time.monotonic() + PATIENCE_S
        while server.descriptors > before + 10:
            assert time.monotonic() < deadline
            server.request("GET", "/version", token="")


HOLD = """
import resource, socket, ssl, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
context = ssl.create_default_context(cafile=sys.argv[1])
held = []
for _ in range(2000):
    raw = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    held.append(context.wrap_socket(raw, server_hostname="127.0.0.1"))
print(len(held), flush=True)
sys.stdin.read()
"""


class TestCallers:
    def paths(self) -> Iterator[str]:
        """Every route: discovery, OpenAPI, and each kind's list, object and subresources."""
        yield from ("/api", "/apis", "/openapi/v2", "/openapi/v3", "/metrics", "/", "/logs")
        for group, version in kinds.group_versions():
            root = f"/apis/{group}/{version}" if group else f"/api/{version}"
            yield from (root, f"/openapi/v3{root}")
            for found in discovery.api_resources(group, version)["resources"]:
                name, _, below = found["name"].partition("/")
                scope = "/namespaces/default" if found["namespaced"] else ""
                yield f"{root}{scope}/{name}/x{'/' + below if below else ''}"
                if not below:
                    yield f"{root}{scope}/{name}"
                    yield f"{root}/{name}?watch=1"

    def test_nobody_in_particular_sees_nothing(self, server: Server) -> None:
        seen: dict[str, Any] = {}
        with contextlib.closing(server.connect()) as connection:
            for path in self.paths():
                for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                    connection.request(method, path)
                    response = connection.getresponse()
                    answer = json.loads(response.read())
                    seen[f"{method} {path}"] = (response.status, answer["reason"])
        assert len(seen) > 200
        assert set(seen.values()) == {(401, "Unauthorized")}, {
            path: value for path, value in seen.items() if value[0] != 401
        }

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez", "/version"])
    def test_but_health_and_version(self, server: Server, path: str) -> None:
        with contextlib.closing(server.connect()) as connection:
            connection.request("GET", path)
            assert connection.getresponse().status == 200

    def test_old_versions_of_tls_are_refused(self, server: Server) -> None:
        old = ("-cipher", "ALL:@SECLEVEL=0", "-connect")
        for version, agreed in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
            done = subprocess.run(
                ["openssl", "s_client", version, *old, f"127.0.0.1:{server.port}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=20,
                check=False,
            )
            assert (b"BEGIN CERTIFICATE" in done.stdout) == agreed, version


def test_nothing_secret_is_logged(tmp_path: Path) -> None:
    """At the highest verbosity, after requests of every kind, good ones and bad ones."""
    secret = {name: f"{name}-0c3a55be7f1d" for name in apiserver.TOKENS}
    with contextlib.ExitStack() as stack:
        prepared = apiserver.prepare(tmp_path)
        tokens = {secret[name]: user for name, user in apiserver.TOKENS.items()}
        (tmp_path / "tokens.json").write_text(json.dumps(tokens))
        prepared.start("--v=10")
        stack.callback(lambda: prepared.process and prepared.stop())
        body = {"metadata": {"name": "a"}, "data": {"password": "hunter2-0c3a55be7f1d"}}
        for token in (*secret.values(), "wrong-0c3a55be7f1d"):
            for method, path in (
                ("GET", MAPS),
                ("POST", MAPS),
                ("PUT", f"{MAPS}/a"),
                ("PATCH", f"{MAPS}/a"),
                ("DELETE", f"{MAPS}/a"),
                ("GET", "/api/v1/namespaces/default/pods/x/log"),
                ("POST", "/api/v1/namespaces/default/pods/x/exec?command=sh"),
            ):
                sent = body if method in ("POST", "PUT", "PATCH") else None
                prepared.request(method, path, sent, token=token)
        with socket.create_connection(("127.0.0.1", prepared.port)) as raw:
            context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as sock:
                sock.sendall(
                    f"GET \x00 HTTP/1.1\r\nAuthorization: {secret['admin']}\r\n\r\n".encode()
                )
                ended(sock)
        prepared.request("GET", MAPS, token="", certificate="ann")
        prepared.stop()
    text = "".join(prepared.log)
    assert "serving on" in text
    assert "0c3a55be7f1d" not in text
    for key in tmp_path.glob("*.key"):
        for line in key.read_text().splitlines()[1:-1]:
            assert line not in text
