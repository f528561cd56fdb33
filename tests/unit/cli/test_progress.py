"""The three tellers of progress: JSON lines, plain lines, and the moving line of a terminal."""

from __future__ import annotations

import io
import json
import re

import pytest
import rich.console

from labkit.cli import live, progress
from labkit.model import events

STARTED = events.Event(2, 9, "start sshd", "started", elapsed_ms=100)
WAITING = events.Event(2, 9, "start sshd", "waiting", "its banner", "node1", 340)
DONE = events.Event(2, 9, "start sshd", "done", elapsed_ms=1600)
FAILED = events.Event(2, 9, "start sshd", "failed", "no such file", elapsed_ms=1600)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_lines_hold_the_whole_event() -> None:
    said = json.loads(progress.render_json(WAITING))
    assert said == {
        "schema": "labkit.dev/event",
        "version": 1,
        "step": 2,
        "total": 9,
        "name": "start sshd",
        "state": "waiting",
        "detail": "its banner",
        "node": "node1",
        "elapsed_ms": 340,
    }


def test_plain_lines() -> None:
    assert [progress.render_line(event) for event in (STARTED, DONE, FAILED)] == [
        "[2/9] start sshd (0.1 s)",
        "[2/9] start sshd: done (1.6 s)",
        "[2/9] start sshd: failed: no such file (1.6 s)",
    ]


@pytest.mark.parametrize("how", ["auto", "plain", "json"])
def test_what_is_no_terminal_gets_lines(how: str) -> None:
    stream = io.StringIO()
    with progress.watch(how, stream) as observer:
        observer(STARTED)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().startswith("{") == (how == "json")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with progress.watch("auto", stream) as observer:
        observer(STARTED)
    assert stream.getvalue() == "[2/9] start sshd (0.1 s)\n"


def test_a_terminal_keeps_a_tidy_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with progress.watch("auto", stream) as observer:
        for event in (STARTED, WAITING, DONE, STARTED, FAILED):
            observer(event)
    drawn = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", stream.getvalue())
    assert "✓ 2/9 start sshd  1.5 s" in drawn
    assert "✗ 2/9 start sshd failed" in drawn
    assert "\x1b[32m" not in stream.getvalue()


def test_the_moving_line_says_what_is_awaited_and_how_to_give_up() -> None:
    assert live.running(WAITING, 0.34).plain == (
        "2/9 start sshd · node1: its banner · 0.3 s · Ctrl-C stops"
    )
    assert live.running(STARTED, 0.1).plain == "2/9 start sshd · 0.1 s · Ctrl-C stops"


def test_the_clock_of_the_moving_line_runs_on_between_events() -> None:
    now = [10.0]
    console = rich.console.Console(file=io.StringIO(), width=80)
    board = live.Board(console, clock=lambda: now[0])
    board.tell(WAITING)
    now[0] = 12.0
    with console.capture() as drawn:
        console.print(board.now())
    assert "2.3 s" in drawn.get()
    board.tell(DONE)
    assert not str(board.now())
