from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.client import scripted


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> scripted.Authority:
    folder: Path = tmp_path_factory.mktemp("authority")
    return scripted.Authority(folder)


@pytest.fixture
def server(authority: scripted.Authority) -> Iterator[scripted.Server]:
    with scripted.Server(authority).running() as running:
        yield running
