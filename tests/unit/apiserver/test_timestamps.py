"""Moments and ages, and every example in the server's docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from labkit import apiserver
from labkit.apiserver import timestamps

HOUR, DAY = 3600, 86400
MODULES = [
    found.name
    for found in pkgutil.walk_packages(apiserver.__path__, "labkit.apiserver.")
    if not found.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (10 * 60 + 5, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 60, "7h1m"),
        (8 * HOUR + 60, "8h"),
        (2 * DAY - 1, "47h"),
        (2 * DAY + HOUR, "2d1h"),
        (8 * DAY + HOUR, "8d"),
        (2 * 365 * DAY, "2y"),
        (2 * 365 * DAY + DAY, "2y1d"),
        (9 * 365 * DAY + DAY, "9y"),
    ],
)
def test_ages_as_kubectl_has_them(seconds: float, age: str) -> None:
    assert timestamps.render_age(seconds) == age


def test_moments() -> None:
    assert timestamps.parse(timestamps.render(1_700_000_000)) == 1_700_000_000
    assert timestamps.parse("2023-11-14T22:13:20.500000Z") == 1_700_000_000.5
    assert timestamps.is_valid("2023-11-14T23:13:20+01:00")
    assert not timestamps.is_valid("2023-11-14T22:13:20")
    assert not timestamps.is_valid("2023-11-14")
