"""Stock programs are for who asks for them; then they are there, or the tests fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stock import build


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "stock" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("stock")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the stock programs. What cannot be built fails: it was asked for."""
    try:
        return build.ensure()
    except build.CannotBuildError as error:
        pytest.fail(str(error), pytrace=False)
