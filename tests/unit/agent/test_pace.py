"""How often is not too often: US-18."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.agent import pace
from tests.unit.agent import fakes


class FakeLoop:
    """Timers that fire when the clock is moved past them."""

    def __init__(self, clock: fakes.FakeClock) -> None:
        self.clock = clock
        self.timers: list[tuple[float, FakeTimer]] = []

    def later(self, delay_s: float, callback: object) -> FakeTimer:
        timer = FakeTimer(callback)
        self.timers.append((self.clock.now + delay_s, timer))
        return timer

    def advance(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while due := [entry for entry in self.timers if entry[0] <= end]:
            when, timer = min(due, key=lambda entry: entry[0])
            self.timers.remove((when, timer))
            self.clock.now = max(self.clock.now, when)
            timer.fire()
        self.clock.now = end


class FakeTimer:
    def __init__(self, callback: object) -> None:
        self.callback = callback

    def cancel(self) -> None:
        self.callback = None

    def fire(self) -> None:
        if callable(self.callback):
            self.callback()


@pytest.fixture
def syncs() -> list[float]:
    return []


def pacer(
    syncs: list[float], *, min_s: float = 1.0, period_s: float = 30.0
) -> tuple[FakeLoop, pace.Pacer]:
    clock = fakes.FakeClock()
    clock.now = 0.0
    loop = FakeLoop(clock)
    made = pace.Pacer(
        loop,  # type: ignore[arg-type]
        lambda: syncs.append(clock.now),
        min_period_s=min_s,
        period_s=period_s,
        clock=clock,
    )
    return loop, made


def test_US_18_two_requests_are_served_at_once_and_the_third_waits(syncs: list[float]) -> None:
    loop, made = pacer(syncs)
    for _ in range(3):
        made.request()
    assert syncs == [0.0, 0.0]
    loop.advance(1.0)
    assert syncs == [0.0, 0.0, 1.0]


def test_US_18_requests_that_wait_are_one(syncs: list[float]) -> None:
    loop, made = pacer(syncs)
    for _ in range(100):
        made.request()
    loop.advance(5.0)
    assert syncs == [0.0, 0.0, 1.0]


def test_US_18_without_a_request_there_is_one_sync_each_period(syncs: list[float]) -> None:
    loop, _ = pacer(syncs)
    loop.advance(90.0)
    assert syncs == [30.0, 60.0, 90.0]


def test_US_18_a_sync_puts_off_the_periodic_one(syncs: list[float]) -> None:
    loop, made = pacer(syncs)
    loop.advance(20.0)
    made.request()
    loop.advance(29.0)
    assert syncs == [20.0]
    loop.advance(1.0)
    assert syncs == [20.0, 50.0]


def test_without_a_minimum_nothing_waits(syncs: list[float]) -> None:
    _, made = pacer(syncs, min_s=0.0)
    for _ in range(10):
        made.request()
    assert len(syncs) == 10


@given(st.lists(st.floats(0, 3), max_size=60))
def test_US_18_never_more_than_the_burst_and_one_a_period(gaps: list[float]) -> None:
    bucket = pace.Bucket(period_s=1.0, now=0.0)
    now, served = 0.0, 0
    for gap in gaps:
        now += gap
        served += not bucket.wait_s(now)
        assert served <= pace.BURST + now + 1e-6
