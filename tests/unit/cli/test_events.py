"""events: a line each, as text or as JSON, until the time is up or somebody presses Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from labkit.inspection.events import event, following
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld

RULE = event.Event(0.0, "node1", "rule", "added", "nat CHAIN", "-j ACCEPT")


class Happening(following.Events):
    """One event, then silence, or Ctrl-C."""

    def __init__(self, *, interrupted: bool = False) -> None:
        super().__init__([])
        self.asked: list[Any] = []
        self.waited: list[float | None] = []
        self._said: list[event.Event | None] = [RULE]
        self._interrupted = interrupted
        self.closed = False

    def __call__(self, nodes: Sequence[str], *, kinds: Sequence[str]) -> Happening:
        self.asked += [*nodes, *kinds]
        return self

    def __enter__(self) -> Happening:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def read(self, timeout_s: float | None = None) -> event.Event | None:
        self.waited.append(timeout_s)
        if not self._said and self._interrupted:
            raise KeyboardInterrupt
        return self._said.pop() if self._said else None


def test_a_line_for_each(run: Run, world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    happening = Happening()
    monkeypatch.setattr(world.lab, "events", happening, raising=False)
    done = run("events", "--node", "node1", "--kind", "rule", "--for", "2s")
    assert (done.exit_code, done.stdout) == (0, f"{RULE!r}\n")
    assert happening.asked == ["node1", "rule"]
    assert all(wait is not None and 0 <= wait <= 2 for wait in happening.waited)
    assert happening.closed


def test_as_json_until_ctrl_c(run: Run, world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    happening = Happening(interrupted=True)
    monkeypatch.setattr(world.lab, "events", happening, raising=False)
    done = run("events", "-o", "json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == RULE.to_json()
    assert happening.waited == [None, None]
    assert happening.closed


def test_a_kind_that_is_none(run: Run) -> None:
    done = run("events", "--kind", "weather")
    assert done.exit_code == 2
    assert "weather" in done.stderr
    assert "'connection'" in done.stderr
