"""Controllers run again after a failure, and say once that their API server is away."""

from __future__ import annotations

import asyncio

import pytest

from labkit import errors
from labkit.apiserver.controllers import loops


class Failing:
    """Fails in one way after the other, and then works."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.works = asyncio.Event()

    async def run(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.works.set()
        await asyncio.Event().wait()


def test_a_server_that_is_away_is_one_line_and_a_fault_of_ours_is_a_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "PAUSE_S", 0)
    away = errors.ConnectionFailed("no answer from 192.0.2.1:6443")

    async def body() -> None:
        failing = Failing(away, away, away, ValueError("a fault"), away)
        async with loops.kept_running([failing]):
            await failing.works.wait()

    asyncio.run(body())
    assert [(record.levelname, bool(record.exc_info)) for record in caplog.records] == [
        ("WARNING", False),
        ("ERROR", True),
    ]
    assert "no answer from 192.0.2.1:6443" in caplog.text
