"""What every test may use: folders of its own instead of the learner's, and time to think."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from labkit import lab

# How long an example takes says more of the machine than of us; pytest's own time limit holds.
hypothesis.settings.register_profile(
    "labkit", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("labkit")


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is collected, in each process that runs tests."""
    # Tests start labkit's programs by the hundred: without bytecode each compiles all of it anew,
    # which takes most of them longer than their work.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


@contextlib.contextmanager
def _home(patch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lk"))
    patch.delenv("LABKIT_NAME", raising=False)
    for name in ("STATE_HOME", "RUNTIME_DIR"):
        (folder / name).mkdir(mode=0o700)
        patch.setenv(f"XDG_{name}", str(folder / name))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home for labs. Its path is short: a Unix socket's may have 108 bytes."""
    with _home(monkeypatch) as folder:
        yield folder


@pytest.fixture
def opened(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[lab.Lab]:
    """A lab that is not up yet; nothing of it is left afterwards."""
    monkeypatch.chdir(tmp_path)
    made = lab.open_lab("t")
    yield made
    made.down(purge=True)


@pytest.fixture(scope="module")
def shared() -> Iterator[lab.Lab]:
    """A lab that is up, for all tests of a module: each leaves it as it found it."""
    with pytest.MonkeyPatch.context() as patch, _home(patch) as folder:
        patch.chdir(folder)
        made = lab.open_lab("t")
        made.up()
        yield made
        made.down(purge=True)
