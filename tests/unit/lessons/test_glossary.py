"""The glossary has every word that the lessons explain, and they explain what it says they do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import labkit
from labkit import errors
from labkit.inspection.explain import chains
from labkit.lessons import catalogue

TERMS = labkit.glossary().terms
LESSONS = catalogue.entries()
#: In capitals, too, but not short for anything.
NAMES = {*chains.BUILT_IN, "REDIRECT"}
#: Code in a text, and the names of chains.
NO_PROSE = re.compile(r"`[^`]*`|\bKUBE-[A-Z-]+")
#: The keys of a lesson's TOML that a learner reads.
READ = ("title", "goals", "question", "check", "text", "why", "nudge", "near", "means")
ACRONYMS = re.compile(r"\b[A-Z]{2,}\b")


def markdown(entry: catalogue.Entry) -> list[str]:
    """The texts of a notebook, in order."""
    found = json.loads(entry.notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "markdown"]


def words(value: Any) -> Iterator[str]:
    """What the TOML of a lesson says to its learner: no ids, commands and manifests."""
    match value:
        case dict():
            yield from (text for key in READ for text in words(value.get(key, ())))
            yield from (meaning for _, meaning in value.get("answers", ()))
        case str():
            yield value
        case _:
            for inner in value:
                yield from words(inner)


def texts() -> Iterator[str]:
    """All that learners read, in order: a notebook's first cell, what its TOML says, the rest."""
    for entry in LESSONS:
        first, *rest = markdown(entry)
        told = words(msgspec.to_builtins(entry.read()))
        for text in (first, *told, *rest):
            yield NO_PROSE.sub("", text)


def bold(entry: catalogue.Entry) -> set[str]:
    found = re.findall(r"\*\*`?(.+?)`?\*\*", "\n".join(markdown(entry)))
    return {text.casefold() for text in found}


@pytest.mark.parametrize("entry", LESSONS, ids=lambda entry: entry.name)
def test_what_a_lesson_explains_is_bold_and_in_the_glossary(entry: catalogue.Entry) -> None:
    own = {term.name.casefold() for term in TERMS if term.introduced == entry.number}
    shown = bold(entry)
    assert {word for word in shown if not {word, word.removesuffix("s")} & own} == set()
    assert {word for word in own if not {word, f"{word}s"} & shown} == set()


def test_each_acronym_is_spelled_out_where_it_is_used_first() -> None:
    known = {term.name: term.stands_for for term in TERMS}
    met: dict[str, str] = {}
    for text in texts():
        for acronym in set(ACRONYMS.findall(text)) - NAMES:
            met.setdefault(acronym, text)
    assert {"API", "SSH", "IP", "NAT", "DNAT", "UDP"} <= met.keys()
    for acronym, text in met.items():
        assert known.get(acronym, "?") in text, f"{acronym} in: {text}"


def test_every_form_of_a_word_has_the_same_facts() -> None:
    term = labkit.glossary().word(" CONNTRACK ")
    for fact in ("connection tracking", term.means, "07-inside-the-proxy"):
        assert fact in repr(term)
    for form in (repr(labkit.glossary()), labkit.glossary()._repr_html_()):
        for each in TERMS:
            assert each.name in form
            assert each.introduced in form
    data = labkit.glossary().to_json()
    assert data["schema"] == "labkit.dev/glossary"
    assert [one["name"] for one in data["terms"]] == [each.name for each in TERMS]
    assert term.to_json()["standsFor"] == "connection tracking"


def test_a_word_that_is_not_there_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(errors.NothingMatched, match="no word 'contrack'") as refused:
        labkit.glossary().word("contrack")
    assert "conntrack" in refused.value.hint


def test_the_words_are_there_once_and_from_a_to_z() -> None:
    names = [term.name.casefold() for term in TERMS]
    assert names == sorted(set(names))
    assert all(term.means.endswith(".") for term in TERMS)
