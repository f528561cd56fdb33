"""The near end of the relay's measurement, run on a node: `sink.py HOST PORT REQUESTS BYTES`.

Prints JSON: the microseconds of each request on a connection of its own, of each on one open
connection, and the seconds that a stream of BYTES took.
"""

import json
import socket
import sys
import time
from collections.abc import Callable

Address = tuple[str, int]


def dial(address: Address) -> socket.socket:
    sock = socket.create_connection(address, timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ask(sock: socket.socket, count: int) -> None:
    """Ask for so many bytes and take them all."""
    sock.sendall(b"%d\n" % count)
    left, buffer = count, bytearray(1 << 20)
    while left:
        got = sock.recv_into(buffer, min(left, len(buffer)))
        if not got:
            raise ConnectionError(f"the stream ended {left} bytes early")
        left -= got


def ask_anew(address: Address) -> None:
    with dial(address) as sock:
        ask(sock, 1)


def timed(do: Callable[[], None], times: int) -> list[int]:
    """Microseconds of each."""
    found = []
    for _ in range(times):
        begun = time.perf_counter_ns()
        do()
        found.append((time.perf_counter_ns() - begun) // 1000)
    return found


def main(host: str, port: int, requests: int, size: int) -> None:
    address = (host, port)
    connections = timed(lambda: ask_anew(address), requests)
    with dial(address) as sock:
        ask(sock, 1)
        exchanges = timed(lambda: ask(sock, 1), requests)
        stream = timed(lambda: ask(sock, size), 1)[0] / 1e6
    found = {"connections": connections, "exchanges": exchanges, "stream_s": stream}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
