"""The far end, run in a pod: `backend.py PORT`.

TCP: each line that a client sends is a number, and the answer is so many bytes; after a line that
ends with a full stop the connection is closed, so that the port that has to rest stays with us and
nobody else runs out of ports. UDP: what comes goes back.
"""

import contextlib
import os
import select
import socket
import sys

BLOCK = 1 << 20


class Backend:
    def __init__(self, port: int) -> None:
        self.epoll = select.epoll()
        self.zeros = os.memfd_create("zeros")
        os.truncate(self.zeros, BLOCK)
        self.listener = socket.create_server(("0.0.0.0", port), backlog=4096)
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self.datagrams.bind(("0.0.0.0", port))
        for sock in (self.listener, self.datagrams):
            sock.setblocking(False)
            self.epoll.register(sock, select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        self.owed: dict[int, int] = {}
        self.last: set[int] = set()

    def serve(self) -> None:
        while True:
            for fd, _ in self.epoll.poll():
                with contextlib.suppress(BlockingIOError):
                    if fd == self.listener.fileno():
                        self.accept()
                    elif fd == self.datagrams.fileno():
                        self.echo()
                    elif fd in self.clients:
                        self.attend(fd)

    def accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.clients[client.fileno()] = client
            self.owed[client.fileno()] = 0
            self.epoll.register(client, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def echo(self) -> None:
        while True:
            data, client = self.datagrams.recvfrom(65536)
            self.datagrams.sendto(data, client)

    def attend(self, fd: int) -> None:
        try:
            self.pay(fd)  # what the socket had no room for last time
            while line := self.clients[fd].recv(64):
                self.owed[fd] += int(line.rstrip(b".\n"))
                if line.endswith(b".\n"):
                    self.last.add(fd)
                self.pay(fd)
                if fd in self.last:
                    break
        except BlockingIOError:
            if self.owed[fd] or fd not in self.last:
                return
        except OSError:
            pass
        self.drop(fd)

    def pay(self, fd: int) -> None:
        while self.owed[fd]:
            self.owed[fd] -= os.sendfile(fd, self.zeros, 0, min(self.owed[fd], BLOCK))

    def drop(self, fd: int) -> None:
        self.clients.pop(fd).close()
        del self.owed[fd]
        self.last.discard(fd)


if __name__ == "__main__":
    Backend(int(sys.argv[1])).serve()
