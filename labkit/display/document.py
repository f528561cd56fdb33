"""What is to be shown, before anybody decides how: sections of sentences and tables.

Values that are made to be shown build a Section; `text.render` and `html.render` draw it. A fact
that is in the Section is in both forms, and a fact that is not is in neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Tone = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Words that are good or bad news. The words say so themselves; a tone only repeats it."""

    text: str
    tone: Tone

    def __str__(self) -> str:
        return self.text


Cell: TypeAlias = str | int | Mark


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str | Mark


@dataclass(frozen=True, slots=True)
class Items:
    """Sentences of equal rank, one under the other."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines that are meant to be copied: never wrapped."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings. The first cell of a row is its name. `empty` stands for no rows.

    With `long_last`, the last column holds text too long for a column on a terminal: there it is
    drawn on lines of its own, under the row.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    empty: str = "none"
    long_last: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is under it."""

    heading: str
    blocks: tuple[Block, ...]


Block: TypeAlias = Text | Items | Code | Table | Section


def good(text: str) -> Mark:
    return Mark(text, "good")


def bad(text: str) -> Mark:
    return Mark(text, "bad")
