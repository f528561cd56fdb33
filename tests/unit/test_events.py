"""Progress as events: counted, timed, and honest about a step that failed."""

from __future__ import annotations

import threading

import pytest

from labkit.model import events


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_steps_are_counted_and_timed() -> None:
    seen: list[events.Event] = []
    clock = FakeClock()
    progress = events.Progress(seen.append, total=2, clock=clock)
    with progress.step("first"):
        clock.now += 0.5
        progress.waiting("a banner", node="node1")
    with progress.step("second", node="node2"):
        clock.now += 1
    assert seen == [
        events.Event(1, 2, "first", "started"),
        events.Event(1, 2, "first", "waiting", "a banner", "node1", 500),
        events.Event(1, 2, "first", "done", elapsed_ms=500),
        events.Event(2, 2, "second", "started", node="node2", elapsed_ms=500),
        events.Event(2, 2, "second", "done", node="node2", elapsed_ms=1500),
    ]


@pytest.mark.parametrize("error", [ValueError("no room"), KeyboardInterrupt("no room")])
def test_a_step_that_fails_says_so_and_lets_the_error_go_on(error: BaseException) -> None:
    seen: list[events.Event] = []
    progress = events.Progress(seen.append, total=1)
    with pytest.raises(type(error)), progress.step("first"):
        raise error
    assert [(event.state, event.detail) for event in seen] == [
        ("started", ""),
        ("failed", "no room"),
    ]


def test_any_thread_may_tell_but_one_at_a_time() -> None:
    inside, most = 0, 0

    def watch(_: events.Event) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1

    progress = events.Progress(watch, total=1)

    def tell_often() -> None:
        for _ in range(50):
            progress.waiting("x")

    threads = [threading.Thread(target=tell_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_nobody_has_to_watch() -> None:
    with events.Progress(events.ignore, total=1).step("first"):
        pass
