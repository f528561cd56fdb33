"""Virtual machines only boot when they are asked for (`pytest -m vagrant`): three for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.vagrant import typed as typing_there


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "vagrant" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("vagrant")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def typed() -> Iterator[typing_there.Typed]:
    with typing_there.at("libvirt") as made:
        yield made


@pytest.fixture(scope="session")
def brought_up(typed: typing_there.Typed) -> Any:
    """What the first `labkit up` said."""
    return typed.up()
