"""gzip, for long answers to those who take it. As in kube-apiserver: short ones are not worth it.

A list of 1,000 Services is 1 MB of JSON that is mostly the same words, and becomes a fifteenth. At
level 1 that costs some milliseconds; higher levels cost several times as much for little more.
Watches are not compressed: each event must go out at once. Requests are not, either.
"""

from __future__ import annotations

import gzip

THRESHOLD_BYTES = 128 * 1024
LEVEL = 1
#: What goes with a compressed body: caches must not give it to others.
HEADERS = (("content-encoding", "gzip"), ("vary", "Accept-Encoding"))


def is_accepted(accept_encoding: str) -> bool:
    """Whether a client takes gzip: it lists it, by itself.

    >>> is_accepted("deflate, gzip"), is_accepted("gzip;q=0")
    (True, False)
    """
    return "gzip" in (word.strip() for word in accept_encoding.split(","))


def is_worth_it(body: bytes, accept_encoding: str) -> bool:
    return len(body) > THRESHOLD_BYTES and is_accepted(accept_encoding)


def pack(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)
