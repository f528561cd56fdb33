"""The far end of the relay's measurement, run in a pod: `source.py PORT`.

Each line that a client sends is a number; the answer is so many bytes.
"""

import socketserver
import sys

BLOCK = bytes(65536)


class Source(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        for line in self.rfile:
            left = int(line)
            while left > 0:
                self.connection.sendall(BLOCK[:left])
                left -= len(BLOCK)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    Server(("0.0.0.0", int(sys.argv[1])), Source).serve_forever()
