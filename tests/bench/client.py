"""The near end, run on a machine: `client.py WHAT HOST PORT COUNT`. Prints JSON.

requests     microseconds of each of COUNT: connect, ask, close
exchanges    microseconds of each of COUNT on one open connection
connections  seconds that COUNT short connections take, AT_ONCE at a time
stream       seconds that COUNT bytes take
datagrams    seconds that COUNT questions over UDP take, AT_ONCE at a time, and the losses
idle         opens COUNT connections, says so on the pipe READY, and ends at a word on DONE
"""

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

AT_ONCE = 32
READY, DONE = "/run/bench.ready", "/run/bench.done"
#: A datagram that has not come back by then is lost.
LOST_S = 1.0

Address = tuple[str, int]


def dial(address: Address) -> socket.socket:
    sock = socket.create_connection(address, timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ask(sock: socket.socket, count: int, end: str = "") -> None:
    """Ask for so many bytes, and throw them away unread."""
    sock.sendall(f"{count}{end}\n".encode())
    left, buffer = count, bytearray(1 << 20)
    while left:
        got = sock.recv_into(buffer, min(left, len(buffer)), socket.MSG_TRUNC)
        if not got:
            raise ConnectionError(f"the stream ended {left} bytes early")
        left -= got


def timed(do: Callable[[], None], times: int) -> list[int]:
    """Microseconds of each."""
    found = []
    for _ in range(times):
        begun = time.perf_counter_ns()
        do()
        found.append((time.perf_counter_ns() - begun) // 1000)
    return found


def requests(address: Address, count: int) -> Any:
    def once() -> None:
        with dial(address) as sock:
            ask(sock, 1, ".")
            sock.recv(1)

    return timed(once, count)


def exchanges(address: Address, count: int) -> Any:
    with dial(address) as sock:
        ask(sock, 1)
        return timed(lambda: ask(sock, 1), count)


def stream(address: Address, count: int) -> Any:
    with dial(address) as sock:
        ask(sock, 1)
        return timed(lambda: ask(sock, count), 1)[0] / 1e6


def connections(address: Address, count: int) -> Any:
    epoll = select.epoll()
    open_: dict[int, socket.socket] = {}
    begun, started, ended = time.perf_counter(), 0, 0
    while ended < count:
        while started < count and len(open_) < AT_ONCE:
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            open_[sock.fileno()] = sock
            epoll.register(sock, select.EPOLLOUT)
            started += 1
        for fd, events in epoll.poll(30):
            if events & select.EPOLLOUT and not events & select.EPOLLHUP:
                open_[fd].send(b"1.\n")
                epoll.modify(fd, select.EPOLLIN)
            elif not open_[fd].recv(64):  # the answer, and then the end
                epoll.unregister(fd)
                open_.pop(fd).close()
                ended += 1
    return time.perf_counter() - begun


def datagrams(address: Address, count: int) -> Any:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(LOST_S)
    sock.connect(address)
    begun, sent, answered, lost = time.perf_counter(), 0, 0, 0
    while answered + lost < count:
        while sent < count and sent - answered - lost < AT_ONCE:
            sock.send(b"who is there?")
            sent += 1
        try:
            sock.recv(64)
            answered += 1
        except TimeoutError:
            lost = sent - answered
    return {"seconds": time.perf_counter() - begun, "lost": lost}


def idle(address: Address, count: int) -> Any:
    held = [dial(address) for _ in range(count)]
    Path(READY).write_text("open\n")
    Path(DONE).read_text()
    return len(held)


if __name__ == "__main__":
    what, host, port, count = sys.argv[1:]
    found = globals()[what]((host, int(port)), int(count))
    sys.stdout.write(json.dumps(found))
