"""Every requirement of kube-proxy's userspace mode is tested, or told in the agent's README.

`tests/cases/kube-proxy-requirements.txt` lists the ids: US- how the mode behaves, OB- what can be
observed, S- its known faults. A test carries the ids that it is for in its name; the README's
tables say where the agent differs, and what it shares.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
README = TESTS.parent / "labkit" / "agent" / "README.md"
REQUIREMENTS = (TESTS / "cases" / "kube-proxy-requirements.txt").read_text().split()

_TEST = re.compile(r"def (test_\w*)\(")
_ID = re.compile(r"\b(US|OB|S)-(\d+a?)(?: to (?:US|OB|S)-(\d+))?")


def ids_in(text: str) -> set[str]:
    """Ids in a text; `US-34 to US-36` is three.

    >>> sorted(ids_in("US-19a, US-34 to US-36"))
    ['US-19a', 'US-34', 'US-35', 'US-36']
    """
    found = set()
    for family, first, last in _ID.findall(text):
        found.add(f"{family}-{first}")
        if last:
            found |= {f"{family}-{n}" for n in range(int(first), int(last) + 1)}
    return found


def met() -> set[str]:
    names = [
        name
        for folder in ("unit", "netns")
        for path in sorted((TESTS / folder).rglob("test_*.py"))
        for name in _TEST.findall(path.read_text())
    ]
    words = (re.sub(r"(US|OB|S)_(\d)", r"\1-\2", name).replace("_", " ") for name in names)
    return set().union(*map(ids_in, words))


def told() -> set[str]:
    """Ids in the first cells of the README's tables."""
    rows = [line for line in README.read_text().splitlines() if line.startswith("| ")]
    return set().union(*(ids_in(row.split("|")[1]) for row in rows))


@pytest.fixture(scope="module")
def covered() -> set[str]:
    return met() | told()


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_a_requirement_is_met_or_the_difference_told(requirement: str, covered: set[str]) -> None:
    assert requirement in covered


def test_no_id_is_made_up(covered: set[str]) -> None:
    assert covered <= set(REQUIREMENTS)
    assert len(REQUIREMENTS) == len(set(REQUIREMENTS)) > 100
