"""What a learner can press, choose and type, as data. `view.js` draws it.

A control with an `action` acts as soon as it changes; the others are read when a button is pressed.
Each has a label, because a screen reader reads nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Button:
    """Does `action`. `tip` says what will happen."""

    action: str
    label: str
    tip: str = ""
    kind: str = field(default="button", init=False)


@dataclass(frozen=True, slots=True)
class Switch:
    """On or off."""

    name: str
    label: str
    value: bool = False
    action: str = ""
    kind: str = field(default="switch", init=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `options`: (value, words) pairs. `radio` shows all of them at once."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    value: str = ""
    action: str = ""
    radio: bool = False
    kind: str = field(default="choice", init=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number from `least` to `most`."""

    name: str
    label: str
    value: int
    least: int = 0
    most: int = 65535
    action: str = ""
    kind: str = field(default="number", init=False)


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text."""

    name: str
    label: str
    value: str = ""
    action: str = ""
    kind: str = field(default="words", init=False)


Control: TypeAlias = Button | Switch | Choice | Number | Words


def to_json(controls: Sequence[Control]) -> list[dict[str, Any]]:
    """The controls as `view.js` reads them."""
    return [dataclasses.asdict(control) for control in controls]


def same_words(*options: str) -> tuple[tuple[str, str], ...]:
    """Options that are called what they are."""
    return tuple((option, option) for option in options)
