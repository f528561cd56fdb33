"""What every test may use: folders of its own instead of the learner's, and time to think."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says more of the machine than of us; pytest's own time limit holds.
hypothesis.settings.register_profile(
    "labkit", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("labkit")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home for labs. Its path is short: a Unix socket's may have 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="lk"))
    for name in ("STATE_HOME", "RUNTIME_DIR"):
        (folder / name).mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{name}", str(folder / name))
    yield folder
    shutil.rmtree(folder)
