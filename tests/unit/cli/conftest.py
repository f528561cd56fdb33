from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click import testing

from labkit.cli import app, session
from tests.unit.cli import fakes

Run = Callable[..., testing.Result]


@pytest.fixture
def world(home: Path) -> fakes.FakeWorld:
    return fakes.FakeWorld()


@pytest.fixture
def run(world: fakes.FakeWorld, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command: `run("up", "--workers", "3")`."""
    for variable in ("LABKIT_NAME", "LABKIT_TIMEOUT"):
        monkeypatch.delenv(variable, raising=False)

    def typed(*args: str, stdin: str = "", env: dict[str, str] | None = None) -> testing.Result:
        current = session.Session(world)
        return testing.CliRunner().invoke(app.labkit, args, stdin, env=env, obj=current)

    return typed
