"""The event loop: timers, other threads, and callbacks that fail."""

from __future__ import annotations

import functools
import os
import select
import threading
from collections.abc import Iterator

import pytest

from labkit.agent import loop as event_loop


@pytest.fixture
def loop() -> Iterator[event_loop.Loop]:
    made = event_loop.Loop()
    yield made
    made.close()


def test_timers_run_in_their_order_and_not_when_cancelled(loop: event_loop.Loop) -> None:
    ran: list[str] = []
    loop.later(0.02, lambda: ran.append("last"))
    loop.later(0.01, lambda: ran.append("cancelled")).cancel()
    loop.later(0.0, lambda: ran.append("first"))
    loop.later(0.02, loop.stop)
    loop.run()
    assert ran == ["first", "last"]


def test_another_thread_brings_work(loop: event_loop.Loop) -> None:
    threads: list[int] = []

    def bring() -> None:
        loop.post(lambda: threads.append(threading.get_ident()))
        loop.post(loop.stop)

    threading.Thread(target=bring).start()
    loop.run()
    assert threads == [threading.get_ident()]


def test_what_blocks_is_done_aside_and_its_result_comes_back(loop: event_loop.Loop) -> None:
    results: list[tuple[int, int]] = []

    def done(worker: int) -> None:
        results.append((worker, threading.get_ident()))
        loop.stop()

    loop.aside(threading.get_ident, done)
    loop.run()
    [(worker, receiver)] = results
    assert worker != receiver == threading.get_ident()


def test_a_callback_that_fails_is_told_and_the_loop_goes_on(
    loop: event_loop.Loop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.soon(lambda: [][0])
    loop.soon(loop.stop)
    loop.run()
    assert "a callback failed" in caplog.text
    assert "IndexError" in caplog.text


def test_a_descriptor_whose_callback_fails_is_heard_of_again(
    loop: event_loop.Loop, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int] = []
    read_end, write_end = os.pipe()

    def fail_once(_events: int) -> None:
        heard.append(read_end)
        if len(heard) == 1:
            raise KeyError("first")
        loop.stop()

    loop.add(read_end, select.EPOLLIN, fail_once)
    os.write(write_end, b"x")
    loop.run()
    assert len(heard) == 2
    assert "KeyError: 'first'" in caplog.text
    os.close(read_end)
    os.close(write_end)


def test_a_descriptor_can_change_hands_and_be_forgotten(loop: event_loop.Loop) -> None:
    heard: list[str] = []
    read_end, write_end = os.pipe()

    def second(_events: int) -> None:
        heard.append("second")
        loop.remove(read_end)
        loop.remove(read_end)  # twice does no harm
        loop.later(0.01, loop.stop)

    def first(_events: int) -> None:
        heard.append("first")
        loop.replace(read_end, second)

    loop.add(read_end, select.EPOLLIN, first)
    os.write(write_end, b"x")
    loop.run()
    assert heard == ["first", "second"]
    os.close(read_end)
    os.close(write_end)


def test_an_event_for_a_descriptor_that_was_just_forgotten_is_passed_over(
    loop: event_loop.Loop,
) -> None:
    heard: list[int] = []
    pipes = [os.pipe() for _ in range(2)]

    def forget_both(own: int, _events: int) -> None:
        heard.append(own)
        for read_end, _ in pipes:
            loop.remove(read_end)
        loop.later(0.0, loop.stop)

    for read_end, write_end in pipes:
        loop.add(read_end, select.EPOLLIN, functools.partial(forget_both, read_end))
        os.write(write_end, b"x")
    loop.run()
    assert len(heard) == 1
    for read_end, write_end in pipes:
        os.close(read_end)
        os.close(write_end)


def test_what_happened_to_a_descriptor_is_not_told_to_its_namesake(loop: event_loop.Loop) -> None:
    """The kernel gives a number that is free to the next who opens something."""
    heard: list[str] = []
    (first, first_end), (second, second_end) = os.pipe(), os.pipe()

    def close_the_other(own: int, other: int, _events: int) -> None:
        heard.append("old")
        loop.remove(other)
        os.dup2(unused, other)  # nothing has ever happened to this one
        loop.add(other, select.EPOLLIN, lambda _: heard.append("new"))
        loop.remove(own)
        loop.later(0.01, loop.stop)

    unused, unused_end = os.pipe()
    for own, other, end in ((first, second, first_end), (second, first, second_end)):
        loop.add(own, select.EPOLLIN, functools.partial(close_the_other, own, other))
        os.write(end, b"x")
    loop.run()
    assert heard == ["old"]
    for fd in (first, first_end, second, second_end, unused, unused_end):
        os.close(fd)
