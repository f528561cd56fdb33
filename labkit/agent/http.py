"""What is asked and what is answered over HTTP, as text: GET, one answer, goodbye. Pure.

An answer may also be a stream, as a watch of the Kubernetes API is one: a chunk for each line, and
no end until the reader goes away. `server.py` carries it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_REASONS = {
    200: "OK",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, and by whom."""

    path: str
    query: str = ""
    #: The client's address.
    client: str = "127.0.0.1"

    @property
    def is_local(self) -> bool:
        """Whether it came over loopback, which nobody else's packets can."""
        return self.client.startswith("127.") or self.client == "::1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: str
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"

    def encode(self) -> bytes:
        body = self.body.encode()
        length = f"Content-Length: {len(body)}"
        return _head(self.status, self.content_type, length, "Connection: close") + body


Push = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stream:
    """Lines, each sent as a chunk when there is one, for as long as somebody reads them.

    `subscribe` is given what sends a line, and returns what ends the subscription.
    """

    subscribe: Callable[[Push], Callable[[], None]]
    content_type: str = "application/json"

    def encode(self) -> bytes:
        """The head alone."""
        return _head(200, self.content_type, "Transfer-Encoding: chunked")


def _head(status: int, content_type: str, *fields: str) -> bytes:
    lines = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Content-Type: {content_type}",
        "X-Content-Type-Options: nosniff",
        *fields,
        "\r\n",
    )
    return "\r\n".join(lines).encode()


NOT_FOUND = Answer("404 page not found\n", 404)
ONLY_GET = Answer("only GET\n", 405)
Answerer = Callable[[Request], Answer | Stream]


def parse_request(data: bytes, client: str) -> Request | None:
    """What is asked for; None when that is anything but to GET."""
    method, target, *_ = (*data.decode("latin-1").split(" ", 2), "", "")
    path, _, query = target.partition("?")
    return Request(path, query, client) if method == "GET" else None
