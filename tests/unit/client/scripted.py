"""A real HTTPS server that answers by script, one entry for each request, and remembers it."""

from __future__ import annotations

import contextlib
import datetime
import functools
import http.server
import ipaddress
import json
import queue
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from labkit.client import config

#: After its lines a stream ends as it should, is cut off without a word, or stays open.
Ending = Literal["end", "cut", "open"]


@dataclass(frozen=True)
class Reply:
    body: Any = field(default_factory=dict)
    status: int = 200
    close: bool = False


@dataclass(frozen=True)
class Stream:
    lines: tuple[Any, ...] = ()
    ending: Ending = "end"


@dataclass(frozen=True)
class Seen:
    """A request that came. `connection` counts the connections, from 0."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """`script` holds what will be answered; `seen` is a queue of what was asked."""

    def __init__(self, authority: Authority) -> None:
        self.script: queue.Queue[Reply | Stream] = queue.Queue()
        self.seen: queue.Queue[Seen] = queue.Queue()
        self.closing = threading.Event()
        self.connections = 0
        self._httpd = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(_Handler, self)
        )
        self._httpd.daemon_threads = True
        self._httpd.socket = authority.context().wrap_socket(
            self._httpd.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port: int = self._httpd.server_address[1]
        self.config = config.ClientConfig(
            f"https://127.0.0.1:{self.port}", ca_pem=authority.ca_pem, token="t0ken"
        )

    def answer(self, *entries: Reply | Stream) -> None:
        for entry in entries:
            self.script.put(entry)

    def next_request(self) -> Seen:
        return self.seen.get(timeout=5)

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self._httpd.shutdown()
            self._httpd.server_close()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, scripted: Server, *args: Any) -> None:
        self.scripted = scripted
        super().__init__(*args)

    def setup(self) -> None:
        self.number = self.scripted.connections
        self.scripted.connections += 1
        super().setup()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def serve(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length)
        self.scripted.seen.put(Seen(self.command, self.path, headers, body, self.number))
        entry = self.scripted.script.get(timeout=5)
        if isinstance(entry, Reply):
            self.reply(entry)
        else:
            self.stream(entry)

    def reply(self, entry: Reply) -> None:
        is_text = isinstance(entry.body, str)
        data = entry.body.encode() if is_text else json.dumps(entry.body).encode()
        self.send_response(entry.status)
        self.send_header("Content-Type", "text/plain" if is_text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = entry.close

    def stream(self, entry: Stream) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in entry.lines:
            self.chunk(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        if entry.ending == "end":
            self.chunk(b"")
            return
        self.close_connection = True
        if entry.ending == "open":
            self.scripted.closing.wait(timeout=30)

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class Authority:
    """A throwaway CA, and a certificate of it for 127.0.0.1 that also serves as a client's."""

    def __init__(self, folder: Path) -> None:
        ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        ca = _certificate("throwaway CA", ca_key.public_key(), "throwaway CA", ca_key, is_ca=True)
        leaf = _certificate("127.0.0.1", key.public_key(), "throwaway CA", ca_key, is_ca=False)
        self.ca_pem = _pem(ca)
        self.cert_pem = _pem(leaf)
        self.key_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        self._chain = folder / "server.pem"
        self._chain.write_text(self.cert_pem + self.key_pem)

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain)
        return context


def _certificate(
    name: str,
    key: ec.EllipticCurvePublicKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
