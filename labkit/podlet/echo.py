"""The program of the image labkit/echo: whoever asks learns which pod answered, and what it saw.

    $ curl http://10.244.1.2:8080/hello
    {"pod": "app1-1", "namespace": "default", "node": "node1", "protocol": "TCP",
     "server": {"address": "10.244.1.2", "port": 8080},
     "client": {"address": "10.244.1.1", "port": 40312},
     "request": {"method": "GET", "path": "/hello", "headers": {"Host": "10.244.1.2:8080"}}}

One line of JSON (shown in four here). The client is the other end of the connection as the kernel
tells it: behind kube-proxy's userspace mode that is the proxying node, not the one who asked.

One thread and one epoll set serve everybody. TERM ends it when the answers under way are sent.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

#: A request's head is refused beyond this, as by most servers.
HEAD_MAX = 64 * 1024
#: A request's body is refused beyond this: it is kept in memory until it is whole.
BODY_MAX = 1024 * 1024
#: So much of it comes back in the answer.
BODY_SHOWN = 4096
_BACKLOG = 512
_READ = 64 * 1024
_DATAGRAM_MAX = 65507


def main(ports: Sequence[str]) -> int:
    """Serve each of `ports`, written as `8080/TCP`, until TERM."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = Server()
    for port in ports:
        number, _, protocol = port.partition("/")
        server.listen(int(number), protocol or "TCP")
    server.run()
    return 0


@dataclass(slots=True)
class Talk:
    """One client's connection: what has come and not been answered, what is not sent yet."""

    sock: socket.socket
    received: bytearray = field(default_factory=bytearray)
    to_send: bytearray = field(default_factory=bytearray)
    ending: bool = False


class Server:
    """Everything that is open, by file descriptor."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        self._datagrams: dict[int, socket.socket] = {}
        self._talks: dict[int, Talk] = {}
        self._is_full = False

    def listen(self, port: int, protocol: str) -> None:
        if protocol == "UDP":
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            # The answer must come from the address that was asked; with one address it does.
            sock.bind(("", port))
            self._datagrams[sock.fileno()] = sock
        else:
            sock = socket.create_server(("", port), backlog=_BACKLOG)
            self._listeners[sock.fileno()] = sock
        sock.setblocking(False)  # noqa: FBT003
        self._poll.register(sock, select.EPOLLIN)

    def run(self) -> None:
        """Serve until TERM; then let those finish whose answer is under way."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)  # noqa: FBT003
        signal.set_wakeup_fd(writer.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._poll.register(reader, select.EPOLLIN)
        while True:
            for fd, events in self._poll.poll():
                if fd == reader.fileno():
                    self._finish()
                    return
                self._serve(fd, events)

    def _serve(self, fd: int, events: int) -> None:
        if fd in self._listeners:
            self._accept(self._listeners[fd])
        elif fd in self._datagrams:
            self._answer_datagram(self._datagrams[fd])
        elif fd in self._talks:
            self._go_on(self._talks[fd], events)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._accept_no_more()
            return  # otherwise the client has gone again
        sock.setblocking(False)  # noqa: FBT003
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._talks[sock.fileno()] = Talk(sock)
        self._poll.register(sock, select.EPOLLIN)

    def _answer_datagram(self, sock: socket.socket) -> None:
        try:
            payload, client = sock.recvfrom(_DATAGRAM_MAX)
            request = {"payload": payload.decode("utf-8", "replace")[:BODY_SHOWN]}
            told = describe("UDP", (own_address(), sock.getsockname()[1]), client, request)
            sock.sendto(told, client)
        except OSError:
            return  # the datagram is lost, as datagrams may be

    def _go_on(self, talk: Talk, events: int) -> None:
        try:
            if events & ~select.EPOLLOUT:
                self._receive(talk)
            self._send(talk)
        except OSError:
            self._close(talk)

    def _receive(self, talk: Talk) -> None:
        piece = talk.sock.recv(_READ)
        if not piece:
            talk.ending = True
        talk.received += piece
        server, client = talk.sock.getsockname(), talk.sock.getpeername()
        while not talk.ending and (request := take_request(talk.received)):
            talk.to_send += answer(request, server, client)
            talk.ending = request.is_last

    def _send(self, talk: Talk) -> None:
        if talk.to_send:
            with contextlib.suppress(BlockingIOError):
                del talk.to_send[: talk.sock.send(talk.to_send)]
        if talk.to_send:
            self._poll.modify(talk.sock, select.EPOLLOUT)
        elif talk.ending:
            self._close(talk)
        else:
            self._poll.modify(talk.sock, select.EPOLLIN)

    def _close(self, talk: Talk) -> None:
        del self._talks[talk.sock.fileno()]
        talk.sock.close()
        if self._is_full:
            self._is_full = False
            for listener in self._listeners.values():
                self._poll.modify(listener, select.EPOLLIN)

    def _accept_no_more(self) -> None:
        """All file descriptors are in use: who comes now waits in the kernel until one is free."""
        self._is_full = True
        for listener in self._listeners.values():
            self._poll.modify(listener, 0)

    def _finish(self) -> None:
        for sock in (*self._listeners.values(), *self._datagrams.values()):
            sock.close()
        for talk in self._talks.values():
            talk.sock.settimeout(1.0)
            try:
                talk.sock.sendall(talk.to_send)
            except OSError:
                continue  # this one no longer listens


@dataclass(slots=True)
class Request:
    """One HTTP request, whole. `status` is what to answer: 200, or what is wrong with it."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: str = "200 OK"
    is_last: bool = False


def take_request(received: bytearray) -> Request | None:
    """Take the first whole request out of what has come; None when more has to come."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        too_long = len(received) > HEAD_MAX
        return _refused("431 Request Header Fields Too Large") if too_long else None
    request = parse_head(bytes(received[:end]))
    begin = end + 4
    size = request.headers.get("Content-Length", "0")
    if request.status != "200 OK" or not size.isdigit():
        return _refused("400 Bad Request")
    if "Transfer-Encoding" in request.headers:
        return _refused("411 Length Required")
    if int(size) > BODY_MAX:
        return _refused("413 Content Too Large")
    if len(received) < begin + int(size):
        return None
    request.body = bytes(received[begin : begin + int(size)])
    del received[: begin + int(size)]
    return request


def parse_head(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return _refused("400 Bad Request")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().title()] = value.strip()
    wish = headers.get("Connection", "").lower()
    is_last = wish == "close" or (words[2] == "HTTP/1.0" and wish != "keep-alive")
    return Request(words[0], words[1], headers, is_last=is_last)


def _refused(status: str) -> Request:
    return Request(status=status, is_last=True)


def answer(request: Request, server: tuple[str, int], client: tuple[str, int]) -> bytes:
    """Render the whole HTTP answer."""
    asked: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "headers": request.headers,
    }
    if request.body:
        asked["body"] = request.body[:BODY_SHOWN].decode("utf-8", "replace")
    body = describe("TCP", server, client, asked)
    head = (
        f"HTTP/1.1 {request.status}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'close' if request.is_last else 'keep-alive'}\r\n\r\n"
    )
    return head.encode() + (b"" if request.method == "HEAD" else body)


def describe(
    protocol: str, server: tuple[str, int], client: tuple[str, int], request: dict[str, Any]
) -> bytes:
    """Say who answers, whom it sees and what was asked: one line of JSON."""
    told = {
        "pod": os.environ.get("POD_NAME", ""),
        "namespace": os.environ.get("POD_NAMESPACE", ""),
        "node": os.environ.get("NODE_NAME", ""),
        "protocol": protocol,
        "server": {"address": server[0], "port": server[1]},
        "client": {"address": client[0], "port": client[1]},
        "request": request,
    }
    return json.dumps(told).encode() + b"\n"


def own_address() -> str:
    return os.environ.get("POD_IP", "")
