"""Many sources, one stream: what is told, who is lost and found, and that all of it ends."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Iterator, Sequence

import pytest

from labkit import errors
from labkit.inspection.events import event, following, sources


def made(kind: event.Kind, name: str = "x") -> event.Event:
    return event.Event(0.0, "node1", kind, "added", name)


class Source:
    """Tells what it is given, then waits for its end."""

    name = "a source"

    def __init__(self, *said: event.Event, heard: bool = True) -> None:
        self.said, self.heard = said, heard
        self.stopped = threading.Event()

    def run(self, tell: sources.Tell, heard: threading.Event) -> None:
        if self.heard:
            heard.set()
        for one in self.said:
            tell(one)
        self.stopped.wait()

    def stop(self) -> None:
        self.stopped.set()


def test_everything_from_everywhere_in_one_stream() -> None:
    several = [Source(made("pod", "a")), Source(made("rule", "b"))]
    with following.Events(several) as happening:
        names = {one.name for one in (happening.read(5), happening.read(5)) if one}
        assert names == {"a", "b"}
        assert happening.read(0) is None
    assert all(source.stopped.is_set() for source in several)
    assert list(happening) == []


def test_only_the_kinds_that_are_wanted() -> None:
    with following.Events([Source(made("pod"), made("rule", "r"))], ["rule"]) as happening:
        one = happening.read(5)
        assert one
        assert one.name == "r"


@pytest.mark.parametrize("timeout_s", [None, 30.0])
def test_a_long_wait_heeds_signals_again_and_again(
    monkeypatch: pytest.MonkeyPatch, timeout_s: float | None
) -> None:
    """A signal from the instant before a wait is heeded after it; here after three."""
    waits: list[float] = []

    class Silence:
        def get(self, timeout: float) -> None:
            waits.append(timeout)
            if len(waits) == 3:
                raise KeyboardInterrupt
            raise queue.Empty

        def put(self, _: object) -> None: ...

    happening = following.Events([])
    monkeypatch.setattr(happening, "_queue", Silence())
    with pytest.raises(KeyboardInterrupt):
        happening.read(timeout_s)
    assert waits == [following.HEEDS_S] * 3


def test_until_the_one_that_is_awaited_or_not_at_all() -> None:
    said = [made("pod", "a"), made("rule", "b"), made("pod", "c")]
    with following.Events([Source(*said)]) as happening:
        assert happening.until(lambda one: one.kind == "rule") == tuple(said[:2])
        with pytest.raises(errors.TimedOut, match=r"1 events in 0\.05 s"):
            happening.until(lambda one: one.kind == "rule", timeout_s=0.05)


def test_who_is_not_heard_is_named_and_nothing_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "READY_S", 0.01)
    deaf = Source(heard=False)
    with pytest.raises(errors.TimedOut, match="a source: not heard"), following.Events([deaf]):
        pass
    assert deaf.stopped.is_set()


class Stream:
    """Lines of a program on a node, until it is ended."""

    def __init__(self, lines: Sequence[str], *, dies: bool) -> None:
        self._lines, self._dies = lines, dies
        self.ended = threading.Event()

    def lines(self) -> Iterator[str]:
        yield from self._lines
        if not self._dies:
            self.ended.wait()

    def say(self, line: str) -> None:
        raise AssertionError(line)

    def end(self) -> None:
        self.ended.set()


class Node:
    """A node whose program dies, that cannot be reached then, and is there again."""

    name = "node1"

    def __init__(self) -> None:
        ready = json.dumps({"ready": True})
        rule = json.dumps({"when": 1.0, "by": "", "added": [["nat", "-A X -j Y"]]})
        self.streams = [Stream([ready], dies=True), Stream([ready, rule], dies=False)]
        self.refused = False

    @contextlib.contextmanager
    def stream(self, argv: Sequence[str]) -> Iterator[Stream]:
        assert "on_node.py" in argv[-1]
        if len(self.streams) == 1 and not self.refused:
            self.refused = True
            raise errors.ConnectionFailed("no route", node="node1")
        yield self.streams.pop(0)


def test_a_node_is_lost_once_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "AGAIN_S", 0.0)
    node = Node()
    with following.Events([sources.Node("node1", lambda _: node)]) as happening:
        told = [happening.read(5) for _ in range(3)]
    assert [(one.kind, one.verb, one.text) for one in told if one] == [
        ("source", "lost", "what listens there has ended"),
        ("source", "found", ""),
        ("rule", "added", "-j Y"),
    ]
