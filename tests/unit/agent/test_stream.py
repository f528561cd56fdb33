"""One direction of a connection, between two ends that a test has in hand."""

from __future__ import annotations

import select
import socket
from typing import Any, cast

import pytest

from labkit.agent import stream

SAID = select.EPOLLIN
SAID_AND_ENDED = select.EPOLLIN | select.EPOLLRDHUP


class End:
    """Gives what it was made of, one after the other; takes everything, and notes how."""

    def __init__(self, *reads: bytes | Exception) -> None:
        self._reads = list(reads)
        self.taken: list[tuple[bytes, int] | str] = []
        self.is_full = False

    def recv(self, _size: int) -> bytes:
        found = self._reads.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def send(self, data: bytes, flags: int) -> int:
        if self.is_full:
            raise BlockingIOError
        self.taken.append((data, flags))
        return len(data)

    def shutdown(self, _how: int) -> None:
        self.taken.append("end")


def join(*reads: bytes | Exception) -> tuple[stream.Stream, End]:
    source, sink = End(*reads), End()
    return stream.Stream(cast(Any, source), cast(Any, sink)), sink


def test_a_short_read_is_the_last_until_there_is_news() -> None:
    up, sink = join(b"question")  # a second read would be too much for the source
    assert up.hear(SAID, 0)
    assert not up.move(last=False)
    assert sink.taken == [(b"question", 0)]
    assert not up.over


def test_the_last_bytes_leave_with_the_end() -> None:
    """So that the sink's kernel needs one packet for both."""
    up, sink = join(b"answer", b"")
    assert up.hear(SAID_AND_ENDED, 0)
    assert not up.move(last=False)
    assert sink.taken == [(b"answer", socket.MSG_MORE), "end"]
    assert up.over


def test_an_end_that_was_told_while_the_sink_took_nothing_is_met_later() -> None:
    up, sink = join(b"a", b"b", b"")
    sink.is_full = True
    for events in (SAID, SAID_AND_ENDED):
        assert up.hear(events, 0)
        assert not up.move(last=False)
    assert not sink.taken
    sink.is_full = False
    assert up.hear(0, select.EPOLLOUT)
    up.move(last=False)
    assert sink.taken == [(b"a", 0), (b"b", socket.MSG_MORE), "end"]


def test_what_was_read_before_a_reset_is_delivered_before_it() -> None:
    up, sink = join(b"answer", ConnectionResetError())
    assert up.hear(SAID_AND_ENDED, 0)
    with pytest.raises(ConnectionResetError):
        up.move(last=False)
    assert sink.taken == [(b"answer", 0)]
