"""Several streams over one connection: what `kubectl exec` speaks, `v5.channel.k8s.io`.

Each message begins with the number of its channel. kubectl sends what is typed on 0 and the size
of its window on 4; it gets the program's output on 1 and 2 and, at the very end, how it ended on 3.
Version 5 added that a stream can end: message 255 names the channel. (With version 4, which the
Python client speaks, a program never learns that its input is over.)
"""

from __future__ import annotations

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


def join(channel: int, data: bytes) -> bytes:
    return bytes([channel]) + data


def split(message: bytes) -> tuple[int, bytes]:
    r"""Take apart what is not empty.

    >>> split(b"\x02oops")
    (2, b'oops')
    """
    return message[0], message[1:]
