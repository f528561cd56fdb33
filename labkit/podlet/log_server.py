"""The kubelet's port, 10250: here the API server fetches the logs that `kubectl logs` shows.

    GET /containerLogs/default/app1-1/echo?follow=true&tailLines=5
    GET /exec/default/app1-1/echo?command=ls&output=1                see `sessions`
    GET /portForward/default/app1-1                                  see `forward`

Both ends prove who they are: the podlet by the node's certificate, the asker by one that the lab's
authority has made out to the API server. Nobody else gets as far as a request. Every conversation
has a thread of its own for as long as it lasts; the loop's thread only says which file is meant.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from labkit import errors
from labkit.client import wire
from labkit.model import kubelet
from labkit.podlet import follow, logs, loop, options, remotecommand

log = logging.getLogger(__name__)

Found = TypeVar("Found")

#: Finds the log that is meant, on the loop's thread. Raises ApiError.
Find = Callable[[logs.Query], logs.Source]

#: A handshake and a request take milliseconds; who needs longer than this has lost the way.
_PATIENCE_S = 10.0
_HEAD_MAX = 16 * 1024
#: Who comes beyond so many conversations at once is turned away.
TALKS_MAX = 64
_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


class LogServer:
    """Accepts on the loop's thread; talks on others."""

    def __init__(
        self,
        given: options.Options,
        on: loop.Loop,
        find: Find,
        find_place: remotecommand.Find,
        find_network: remotecommand.FindNetwork,
        bell: follow.Bell,
    ) -> None:
        self._options = given
        self._loop = on
        self._find = find
        self._find_place = find_place
        self._find_network = find_network
        self._bell = bell
        self._seats = threading.BoundedSemaphore(TALKS_MAX)

    def begin(self) -> None:
        """Listen on the node's address. Without a certificate to show, there is no port at all."""
        if not self._options.tls_cert_file:
            log.info("no --tls-cert-file: the logs stay on this node")
            return
        tls = make_tls(self._options)
        address, port = str(self._options.address), self._options.port
        try:
            listener = socket.create_server((address, port))
        except OSError as error:
            raise errors.Busy(
                f"cannot listen on {address}:{port}: {error.strerror}",
                hint=f"`ss -ltnp 'sport = :{port}'` tells who does",
            ) from error
        listener.setblocking(False)  # noqa: FBT003
        self._loop.when_readable(listener.fileno(), functools.partial(self._accept, listener, tls))

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # the client has gone again
        if not self._seats.acquire(blocking=False):
            sock.close()
            return
        threading.Thread(target=self._talk, args=(sock, tls), daemon=True).start()

    def _talk(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            sock.settimeout(_PATIENCE_S)
            with sock, tls.wrap_socket(sock, server_side=True) as secured:
                if is_api_server(secured):
                    self._answer(secured)
        except OSError as error:
            log.debug("the log server's client: %s", error)
        finally:
            self._seats.release()

    def _answer(self, sock: ssl.SSLSocket) -> None:
        try:
            request = parse_request(read_head(sock))
            answer = {"exec": self._exec, "portForward": self._forward, "attach": self._attach}
            answer.get(request.target.split("/")[1], self._show_log)(request, sock)
        except FileNotFoundError:
            sock.sendall(render_refusal(404, "the log has been removed, with its pod"))
        except errors.ApiError as error:
            sock.sendall(render_refusal(error.status, str(error)))

    def _show_log(self, request: Request, sock: ssl.SSLSocket) -> None:
        if request.method != "GET":
            raise logs.refused(405, f"a log can be read with GET, not with {request.method}")
        query = logs.parse_query(request.target, self._loop.now())
        source = self._ask_loop(lambda: self._find(query))
        with source.file.open("rb") as file:
            file.seek(logs.find_start(file, query, source.run))
            sock.sendall(render_head(200, "Transfer-Encoding: chunked"))
            # From here on the reader may take its time; who is gone is noticed all the same.
            _keep_alive(sock)
            pieces = logs.read_on(file)
            if query.follow:
                folder = source.file.parent
                pieces = follow.follow(file, folder, source.run, self._bell, sock)
            with contextlib.closing(pieces):
                for piece in chunked(logs.cut(pieces, query.limit)):
                    sock.sendall(piece)

    def _exec(self, request: Request, sock: ssl.SSLSocket) -> None:
        query = remotecommand.parse_query(request.target)
        place = self._ask_loop(lambda: self._find_place(query))
        _keep_alive(sock)
        from labkit.podlet import sessions  # seldom needed, and memory in every podlet

        sessions.serve(query, place, request.headers, sock)

    def _forward(self, request: Request, sock: ssl.SSLSocket) -> None:
        namespace, pod = remotecommand.parse_pod(request.target)
        netns = self._ask_loop(lambda: self._find_network(namespace, pod))
        _keep_alive(sock)
        from labkit.podlet import forward  # as above

        forward.serve(pod, netns, request.headers, sock)

    def _attach(self, _: Request, __: ssl.SSLSocket) -> None:
        raise logs.refused(
            501,
            "labkit's containers write straight into their logs, and nobody types into them; "
            "`kubectl logs -f` shows what they say, `kubectl exec -it` runs a shell beside them",
        )

    def _ask_loop(self, find: Callable[[], Found]) -> Found:
        """Call it on the loop's thread, which owns all that is known of pods."""
        found: list[Found] = []
        refusals: list[errors.ApiError] = []
        done = threading.Event()

        def ask() -> None:
            try:
                found.append(find())
            except errors.ApiError as error:
                refusals.append(error)
            done.set()

        self._loop.post(ask)
        done.wait()
        if refusals:
            raise refusals[0]
        return found[0]


def make_tls(given: options.Options) -> ssl.SSLContext:
    """Raises ConfigError. A client without a certificate of the lab's authority is refused."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.num_tickets = 0  # nobody comes back with one
    try:
        tls.load_cert_chain(given.tls_cert_file, given.tls_private_key_file)
        tls.load_verify_locations(given.client_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise errors.ConfigError(
            f"cannot use {given.tls_cert_file}, {given.tls_private_key_file} and "
            f"{given.client_ca_file}: {error}",
            hint="--tls-cert-file, --tls-private-key-file and --client-ca-file belong together",
        ) from error
    return tls


def is_api_server(sock: ssl.SSLSocket) -> bool:
    """The authority vouches for others too: only the API server may read logs."""
    subject = (sock.getpeercert() or {}).get("subject", ())
    return (("commonName", kubelet.CLIENT),) in subject


def read_head(sock: socket.socket) -> bytes:
    """The request up to its empty line. Raises ApiError or ConnectionResetError."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(4096)
        if not piece:
            raise ConnectionResetError("it hung up in the middle of a request")
        head += piece
        if len(head) > _HEAD_MAX:
            raise logs.refused(400, "the request's head is too long")
    return head


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for; the names of the headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]


def parse_request(head: bytes) -> Request:
    """Read the head of a request. Raises ApiError.

    >>> parse_request(b"GET /containerLogs/default/app1/echo HTTP/1.1").target
    '/containerLogs/default/app1/echo'
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise logs.refused(400, "this is not HTTP/1.1")
    fields = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return Request(words[0], words[1], headers)


def render_head(code: int, *fields: str) -> bytes:
    lines = (f"HTTP/1.1 {code} {_PHRASES.get(code, 'Error')}", "Content-Type: text/plain", *fields)
    return "\r\n".join((*lines, "Connection: close", "", "")).encode()


def render_refusal(code: int, message: str) -> bytes:
    body = message.encode()
    return render_head(code, f"Content-Length: {len(body)}") + body


def chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The body of an answer whose length nobody knows yet; its end says that it is whole."""
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _keep_alive(sock: socket.socket) -> None:
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in wire.KEEPALIVE.items():
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
