"""The sockets that the agent opens, and how it ends a connection when it means no.

`0.0.0.0` stands for every IPv4 address of the node. Options set on a listening socket are handed
down by the kernel to each connection that it accepts.
"""

from __future__ import annotations

import contextlib
import socket
import struct

#: A socket without what Python puts around it: `with`, files, names for numbers. Of the CPU for a
#: short connection that is a twentieth.
Plain = socket.SocketType

#: Kubernetes' (really Go's) own: a peer that vanished is found out after some minutes of silence.
KEEPALIVE_S = 15
#: "When I close, throw away what is unsent and say so": the other end sees a reset at once.
_RESET = struct.pack("ii", 1, 0)
#: The kernel cuts it down to net.core.somaxconn.
BACKLOG = 65535
#: linux/netfilter_ipv4.h: the address that a connection was made to before a rule changed it.
_SO_ORIGINAL_DST = 80
_SOCKADDR_IN = struct.Struct("=H2s4s8x")


def listen_tcp(ip: str, port: int) -> socket.socket:
    """A listening socket; port 0 leaves the choice to the kernel."""
    sock = _open(ip, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _send_at_once(sock)
        watch_peer(sock)
        sock.bind((ip, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def bind_udp(ip: str, port: int) -> socket.socket:
    sock = _open(ip, socket.SOCK_DGRAM)
    try:
        sock.bind((ip, port))
    except BaseException:
        sock.close()
        raise
    return sock


def accept(listener: socket.socket) -> tuple[Plain, tuple[str, int]]:
    """A connection that waits at a listening socket, and its client's address."""
    fd, address = listener._accept()  # type: ignore[attr-defined]  # see Plain
    sock = Plain(-1, socket.SOCK_STREAM, 0, fd)
    sock.settimeout(0)
    return sock, address


def begin_connect(ip: str, port: int) -> tuple[Plain, int]:
    """A TCP socket on its way to a pod, and the error number so far: EINPROGRESS is good news.

    Its peer is not watched yet (`watch_peer`): three system calls that only a connection needs
    which lasts.
    """
    sock = Plain(_family(ip), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    _send_at_once(sock)
    return sock, sock.connect_ex((ip, port))


def connect_udp(ip: str, port: int) -> socket.socket:
    """A UDP socket that sends to, and hears from, one pod alone."""
    sock = _open(ip, socket.SOCK_DGRAM)
    try:
        sock.connect((ip, port))
    except BaseException:
        sock.close()
        raise
    return sock


def watch_peer(sock: Plain) -> None:
    """Let the kernel find out when the other end vanishes, if the socket is open still."""
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)


def reset(sock: Plain) -> None:
    """Close so that the other end gets a reset, not an end that looks like an answer."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


def original_destination(sock: Plain) -> bytes:
    """The address that the client of an accepted connection asked for, as the kernel says it.

    Its connection tracking remembers it, because it has to change the answers back. Empty where
    nothing is tracked.
    """
    try:
        return sock.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, _SOCKADDR_IN.size)
    except OSError:
        return b""


def parse_address(sockaddr: bytes) -> tuple[str, int]:
    """An IPv4 address and a port, from a `sockaddr_in`."""
    _, port, ip = _SOCKADDR_IN.unpack(sockaddr)
    return socket.inet_ntoa(ip), int.from_bytes(port)


def detect_host_ip() -> str:
    """The node's own address on the way out: the source that the default route would give.

    Connecting a UDP socket sends nothing; it only asks the kernel for the route. The address asked
    for is one that the documentation of networks has to itself (RFC 5737). Raises OSError when
    there is no default route.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        return str(sock.getsockname()[0])


def _open(ip: str, kind: int) -> socket.socket:
    return socket.socket(_family(ip), kind | socket.SOCK_NONBLOCK)


def _family(ip: str) -> int:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def _send_at_once(sock: Plain) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
