"""`kubectl port-forward`: connections that begin on the learner's machine and end in a pod.

    GET /portForward/default/app1-1        Upgrade: websocket        SPDY/3.1+portforward.k8s.io

For each of them kubectl opens two streams of SPDY with one `requestID`: one for the bytes, one on
which it is told what went wrong. No Service and no rule of kube-proxy is on the way, not even for
`svc/app1`: kubectl picks one of its pods, and the podlet dials within that pod's network.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import select
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.podlet import logs, messages, spdy, websocket

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
_CLONE_NEWNET = 0x40000000
_DIAL_S = 5.0
_PATIENCE_S = 5.0
_PIECE = 32 * 1024
#: No more is read from the client while so much waits for one of the programs to read it.
_PENDING_MAX = 256 * 1024


@dataclass(slots=True)
class Link:
    """A connection to a program in the pod, and the streams that belong to it."""

    sock: socket.socket
    data: int
    error: int
    pending: bytearray = field(default_factory=bytearray)
    client_ended: bool = False
    pod_ended: bool = False


def serve(pod: str, netns: pathlib.Path, headers: Mapping[str, str], sock: ssl.SSLSocket) -> None:
    """Stay until the client leaves. Raises ApiError while that can still be told as a refusal."""
    if not websocket.choose_protocol(headers, (PROTOCOL,)):
        raise logs.refused(
            400,
            f"labkit's port-forward speaks WebSocket ({PROTOCOL}); use kubectl 1.31 or later "
            "(1.30 needs KUBECTL_PORT_FORWARD_WEBSOCKETS=true)",
        )
    enter_network(netns)
    client = messages.Messages(sock, headers, PROTOCOL)
    forwarding = Forwarding(client, pod)
    try:
        with contextlib.suppress(websocket.ProtocolError, spdy.ProtocolError):
            forwarding.run()
    finally:
        forwarding.close()
    client.close(_PATIENCE_S)


def enter_network(netns: pathlib.Path) -> None:
    """Move this thread, and no other, into a pod's network; it is to end there."""
    fd = os.open(netns, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(fd, _CLONE_NEWNET):
            raise logs.refused(500, f"cannot enter {netns}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(fd)


class Forwarding:
    """All connections of one client."""

    def __init__(self, client: messages.Messages, pod: str) -> None:
        self._client = client
        self._pod = pod
        self._spdy = spdy.Connection()
        #: The error streams whose other half has not come yet, by request.
        self._errors: dict[str, int] = {}
        self._links: dict[int, Link] = {}

    def run(self) -> None:
        while not self._client.is_over:
            ready = self._wait()
            for link in list(self._links.values()):
                events = ready.get(link.sock.fileno(), 0)
                if events & ~select.POLLOUT:
                    self._pass_on(link)
                self._feed(link)
            if self._client.fileno() in ready:
                for message in self._client.receive():
                    for event in self._spdy.feed(message):
                        self._take(event)

    def close(self) -> None:
        for link in self._links.values():
            link.sock.close()

    def _wait(self) -> dict[int, int]:
        poll = select.poll()
        if all(len(link.pending) < _PENDING_MAX for link in self._links.values()):
            poll.register(self._client.fileno(), select.POLLIN)
        for link in self._links.values():
            wanted = 0 if link.pod_ended else select.POLLIN
            if link.pending:
                wanted |= select.POLLOUT
            if wanted:
                poll.register(link.sock, wanted)
        return dict(poll.poll())

    def _take(self, event: spdy.Event) -> None:
        match event:
            case spdy.Ping(number):
                self._client.send(spdy.render_ping(number))
            case spdy.Opened(stream, headers):
                self._client.send(self._spdy.render_reply(stream))
                self._open(stream, headers)
            case spdy.Data(stream, payload, is_last) if stream in self._links:
                link = self._links[stream]
                link.pending += payload
                link.client_ended |= is_last
                self._feed(link)
            case spdy.Reset(stream) if stream in self._links:
                link = self._links.pop(stream)
                link.sock.close()
                self._client.send(spdy.render_data(link.error, b"", is_last=True))

    def _open(self, stream: int, headers: Mapping[str, str]) -> None:
        request = headers.get("requestid", "")
        if headers.get("streamtype") == "error":
            self._errors[request] = stream
            return
        error = self._errors.pop(request, 0)
        port = headers.get("port", "")
        try:
            sock = socket.create_connection(("127.0.0.1", int(port)), timeout=_DIAL_S)
        except (OSError, ValueError, OverflowError) as failure:
            told = f"error forwarding port {port} to pod {self._pod}: {failure}"
            self._client.send(spdy.render_data(error, told.encode(), is_last=True))
            self._client.send(spdy.render_data(stream, b"", is_last=True))
            return
        sock.setblocking(False)  # noqa: FBT003
        self._links[stream] = Link(sock, stream, error)

    def _pass_on(self, link: Link) -> None:
        """From the pod to the client."""
        try:
            piece = link.sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece, link.client_ended = b"", True
            link.pending.clear()
        link.pod_ended = not piece
        self._client.send(spdy.render_data(link.data, piece, is_last=link.pod_ended))
        self._drop_if_over(link)

    def _feed(self, link: Link) -> None:
        """From the client to the pod, as much as it takes; and that this is all, when it is."""
        try:
            while link.pending:
                del link.pending[: link.sock.send(link.pending[:_PIECE])]
            if link.client_ended:
                link.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            link.pending.clear()  # nobody reads it any more
        self._drop_if_over(link)

    def _drop_if_over(self, link: Link) -> None:
        """End the error stream too: kubectl waits for that to know that all went well."""
        if link.pod_ended and link.data in self._links:
            del self._links[link.data]
            link.sock.close()
            self._client.send(spdy.render_data(link.error, b"", is_last=True))
