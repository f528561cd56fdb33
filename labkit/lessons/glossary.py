"""The words of the lessons, one short sentence each, and the lesson that explains each first."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from labkit import errors
from labkit.display import document, shown
from labkit.inspection import schema
from labkit.lessons import catalogue
from labkit.model import words

VERSION = 1
_FILE = Path(__file__).with_name("glossary.toml")


@dataclass(frozen=True, slots=True, repr=False)
class Term(shown.Shown):
    """One word. `stands_for` spells an acronym out; `introduced` is a lesson's number."""

    name: str
    means: str
    introduced: str
    stands_for: str = ""

    @property
    def spelled(self) -> str:
        return f"{self.name} ({self.stands_for})" if self.stands_for else self.name

    def document(self) -> document.Section:
        lesson = catalogue.find(self.introduced).name
        return document.Section(
            self.spelled, (document.Text(self.means), document.Text(f"See lesson {lesson}."))
        )

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("glossary-term", VERSION, self)


@dataclass(frozen=True, slots=True, repr=False)
class Glossary(shown.Shown):
    """All words, from A to Z."""

    terms: tuple[Term, ...]

    def word(self, name: str) -> Term:
        """One of them, in whatever case. Raises NothingMatched, with the word probably meant."""
        for term in self.terms:
            if term.name.casefold() == name.strip().casefold():
                return term
        hint = words.suggest(name, [term.name for term in self.terms])
        raise errors.NothingMatched(f"the glossary has no word {name!r}", hint=hint)

    def document(self) -> document.Section:
        rows = [(term.spelled, term.means, term.introduced) for term in self.terms]
        table = document.Table(("word", "what it means", "lesson"), rows)
        return document.Section("Glossary", (table,))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("glossary", VERSION, self)


def load() -> Glossary:
    found = msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8"))["term"], list[Term])
    return Glossary(tuple(sorted(found, key=lambda term: term.name.casefold())))
