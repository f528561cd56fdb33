"""Requests to the holder: one packet each way over a Unix socket, file descriptors attached.

A connection into the lab is made by the holder, inside the lab's network, and its descriptor is
handed out. So the learner's machine reaches the nodes without an interface, a route or a port.

Run as a program this file is OpenSSH's ProxyCommand (with `ProxyUseFdpass yes`):
`python3 wire.py SOCKET HOST PORT` gets a connected descriptor and passes it to ssh on stdout.
For that it imports nothing but the standard library.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

#: The largest packet: a status reply for a hundred nodes is a tenth of it.
PACKET = 128 * 1024


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    socket.send_fds(sock, [json.dumps(message).encode()], fds)


def receive(sock: socket.socket) -> tuple[Message, list[int]]:
    """Raises EOFError when the other side is gone."""
    data, fds, _, _ = socket.recv_fds(sock, PACKET, 1)
    if not data:
        raise EOFError("the other side closed the connection")
    return json.loads(data), fds


def connect(path: str, timeout_s: float) -> socket.socket:
    """Raises OSError when no holder listens at `path`, TimeoutError when it does not accept."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(timeout_s)
    try:
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def peer(sock: socket.socket) -> tuple[int, int]:
    """Return (pid, uid) of the process at the other end, as this process's namespaces see them."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    return pid, uid


def ask(path: str, message: Message, *, timeout_s: float = 30.0) -> tuple[Message, list[int]]:
    """Send one request and return the reply with its descriptors."""
    with connect(path, timeout_s) as sock:
        send(sock, message)
        return receive(sock)


def main(argv: Sequence[str]) -> int:
    path, host, port = argv
    try:
        reply, fds = ask(path, {"op": "connect", "host": host, "port": int(port)})
    except (OSError, EOFError):
        reply, fds = {"error": "the lab is not running; `labkit up` starts it"}, []
    if not fds:
        sys.stderr.write(f"labkit: {reply['error']}\n")
        return 1
    with socket.socket(fileno=1) as ssh:
        socket.send_fds(ssh, [b"\0"], fds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
