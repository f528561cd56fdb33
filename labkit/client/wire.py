"""HTTP/1.1 over TLS, as much of it as the Kubernetes API needs.

    GET /api/v1/services HTTP/1.1       a request: one line, headers, an empty line, perhaps a body
    Host: 192.168.56.10:6443

    HTTP/1.1 200 OK                     an answer looks the same; its body has a length that is
    Transfer-Encoding: chunked          known beforehand, or it comes in chunks, each with its own
                                        length, for as long as the server has something to say
    2a
    {"type":"ADDED","object":{...}}

http.client can do this too, but it brings the mail package along: two megabytes in every process
on every node. What is here fits on a page, and a watch needs no more.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import socket
import ssl
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from labkit import errors
from labkit.client import config as client_config

#: Opens a TCP connection to (host, port), wherever that has to be done from.
Dial = Callable[[str, int], socket.socket]

#: A peer that vanished without a word is given up after 10 + 3 * 5 seconds.
KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
#: The same for a peer that does not acknowledge what we have sent.
USER_TIMEOUT_MS = 25_000
_NO_BODY = (204, 304)
#: Which program it is: `podlet`, `kube-proxy`. By this the server notes who has set which field.
_PROGRAM, _ = os.path.splitext(os.path.basename(sys.argv[0]))  # noqa: PTH119, PTH122 - pathlib costs memory
_USER_AGENT = re.sub(r"[^\w.-]", "", _PROGRAM, flags=re.ASCII) or "labkit"


def dial_tcp(host: str, port: int) -> socket.socket:
    return socket.create_connection((_encode_name(host), port), timeout=10)  # type: ignore[arg-type]


def _encode_name(host: str) -> bytes:
    """A name as DNS has it.

    Python would do this itself, and keep its tables of all the world's scripts for a plain name.
    """
    return host.encode("ascii" if host.isascii() else "idna")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose headers have come. The body is still on the wire: read it, once."""

    status: int
    headers: Mapping[str, str]
    stream: BinaryIO = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives. A body that is cut off raises ConnectionResetError."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            yield from _chunks(self.stream)
        elif "content-length" in self.headers:
            yield _exactly(self.stream, int(self.headers["content-length"]))
        elif self.status not in _NO_BODY:
            yield self.stream.read()

    def read(self) -> bytes:
        return b"".join(self.pieces())

    def lines(self) -> Iterator[bytes]:
        """The body, line by line, each as soon as its end has come."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
        if rest:
            yield rest


class Connection:
    """One connection to an API server; one request at a time. Made by `connect`."""

    def __init__(self, sock: socket.socket, config: client_config.ClientConfig) -> None:
        self._sock = sock
        self._stream = sock.makefile("rb")
        self._base = urllib.parse.urlsplit(config.server)
        self._token = config.token

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Response:
        """Send a request and wait for the answer's headers."""
        head = {"Host": self._base.netloc, "User-Agent": _USER_AGENT, "Accept": accept}
        if self._token:
            head["Authorization"] = f"Bearer {self._token}"
        if body:
            head |= {"Content-Type": content_type, "Content-Length": str(len(body))}
        fields = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        line = f"{method} {self._base.path.rstrip('/')}{path} HTTP/1.1\r\n"
        self._sock.sendall(f"{line}{fields}\r\n".encode() + body)
        return _read_head(self._stream)

    def wait_at_most(self, timeout_s: float) -> None:
        """From now on, a read that brings nothing for so long raises TimeoutError."""
        self._sock.settimeout(timeout_s)

    @property
    def is_over(self) -> bool:
        """True when the server has ended a connection that waits for its next request."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """End the conversation from any thread: whoever reads is woken and sees the end."""
        with contextlib.suppress(OSError):  # it may have ended by itself
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        self._sock.close()


def connect(
    config: client_config.ClientConfig, dial: Dial = dial_tcp, *, timeout_s: float = 10.0
) -> Connection:
    """Dial the API server and verify that it is the one that `config` trusts."""
    host, port = address(config)
    sock = dial(host, port)
    try:
        sock.settimeout(timeout_s)
        _set_options(sock)
        if urllib.parse.urlsplit(config.server).scheme != "http":
            sock.getpeername()  # a connection that was reset by now, ssl would lose without closing
            context = _tls_context(config)
            sock = context.wrap_socket(
                sock, server_hostname=_encode_name(config.server_name or host)
            )
    except BaseException:
        sock.close()
        raise
    return Connection(sock, config)


@functools.lru_cache(maxsize=64)
def address(config: client_config.ClientConfig) -> tuple[str, int]:
    """Host and port of the API server. Raises ConfigError for an address that has none."""
    try:
        parts = urllib.parse.urlsplit(config.server)
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError as error:
        raise errors.ConfigError(f"{config.server!r} is not an API server's address") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise errors.ConfigError(
            f"{config.server!r} is not an API server's address",
            hint="as https://192.168.56.10:6443",
        )
    return parts.hostname, port


@contextlib.contextmanager
def translated(config: client_config.ClientConfig) -> Iterator[None]:
    """Turn every trouble with the network into one ConnectionFailed that says where and why."""
    try:
        yield
    except (OSError, ValueError) as error:
        host, port = address(config)
        raise errors.ConnectionFailed(
            f"the API server at {host}:{port} cannot be talked to: {_explain(error)}",
            hint=f"is it running? `curl -k https://{host}:{port}/healthz` asks it",
        ) from error


def _explain(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate does not convince: {error.verify_message}"
        case TimeoutError():
            return "no answer in time"
        case OSError():
            return error.strerror or str(error)
        case _:
            return f"what it says is not HTTP: {error}"


def _set_options(sock: socket.socket) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


@functools.lru_cache(maxsize=8)
def _tls_context(config: client_config.ClientConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if config.ca_pem:
        context.load_verify_locations(cadata=config.ca_pem)
    else:
        context.load_default_certs()
    if config.cert_pem:
        _load_client_certificate(context, config.cert_pem + "\n" + config.key_pem)
    return context


def _load_client_certificate(context: ssl.SSLContext, pem: str) -> None:
    """OpenSSL wants a file; one that is only in memory keeps the key off the disk."""
    with os.fdopen(os.memfd_create("client-certificate"), "w") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def _read_head(stream: BinaryIO) -> Response:
    _, status, *_ = _line(stream).split(b" ", 2)
    headers = {}
    while line := _line(stream):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return Response(int(status), headers, stream)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while size := int(_line(stream).partition(b";")[0], 16):
        yield _exactly(stream, size)
        _line(stream)
    while _line(stream):
        pass  # trailers, which nobody sends


def _exactly(stream: BinaryIO, size: int) -> bytes:
    piece = stream.read(size)
    if len(piece) < size:
        raise ConnectionResetError("it hung up in the middle of an answer")
    return piece


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise ConnectionResetError("it hung up")
    return line.rstrip(b"\r\n")
