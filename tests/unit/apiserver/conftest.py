from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit.apiserver import registry
from tests.unit.apiserver import cluster


@pytest.fixture
def objects() -> Iterator[registry.Registry]:
    with cluster.running() as made:
        yield made


@pytest.fixture
def api(objects: registry.Registry) -> cluster.Client:
    return cluster.Client(objects)
