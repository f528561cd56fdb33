"""What was done to a lab, in one file of its state: so that any process can undo it, any time.

It is written before the first step of a fault, and holds the exact inverse of all of them. So
nothing is lost when labkit is killed in between: what was not done is undone without harm. The
fault that was the last is kept, too, until the next: a diagnosis is still graded when it is mended.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from labkit import errors, paths
from labkit.display import shown
from labkit.display.document import Block, Code, Section, Text, bad
from labkit.faults import catalogue
from labkit.faults.fault import CLUSTER, Ask, Step
from labkit.inspection import schema

VERSION = 1
Stage = Literal["injecting", "active", "cleared"]


@dataclass(frozen=True, slots=True, repr=False)
class Receipt(shown.Shown):
    """A fault in a lab. A hidden one says what is noticed, and not what it is."""

    fault: str
    node: str
    hidden: bool
    stage: Stage
    #: UTC, ISO 8601.
    began: str
    do: tuple[Step, ...]
    undo: tuple[Step, ...]
    asks: tuple[Ask, ...]
    before: dict[str, tuple[str, ...]]
    #: Node, layer and cause have been named rightly.
    diagnosed: bool = False
    version: int = VERSION

    @property
    def is_active(self) -> bool:
        return self.stage != "cleared"

    @property
    def is_told(self) -> bool:
        """True when it may be said what it is."""
        return not self.hidden or self.diagnosed or not self.is_active

    def document(self) -> Section:
        return Section(self._heading(), tuple(self._blocks()))

    def _heading(self) -> str:
        if not self.is_told:
            return "A hidden fault is in the lab"
        return f"Fault {self.fault} {where(self.node)}"

    def _blocks(self) -> Iterator[Block]:
        if self.is_told:
            known = catalogue.find(self.fault)
            yield Text(f"{known.title}.")
            yield Text(known.symptom)
            yield Section("What was done", (Code(tuple(step.line for step in self.do)),))
        asked = tuple(Text(bad(f"{ask.words}: no answer")) for ask in self.asks)
        by_hand = Code(tuple(ask.line for ask in self.asks))
        yield Section("What is noticed", (*asked, by_hand))
        yield Text("`labkit fault diagnose` grades what you think it is.")

    def to_json(self) -> dict[str, Any]:
        told = self.is_told
        return {
            "schema": "labkit.dev/fault-receipt",
            "version": VERSION,
            "fault": self.fault if told else "",
            "node": self.node if told else "",
            "hidden": self.hidden,
            "stage": self.stage,
            "began": self.began,
            "diagnosed": self.diagnosed,
            "did": [step.line for step in self.do] if told else [],
            "asks": [schema.plain(ask) for ask in self.asks],
        }


def where(node: str) -> str:
    return "in the objects of the API" if node == CLUSTER else f"on {node}"


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def path(lab: paths.LabPaths) -> Path:
    return lab.state / "fault.json"


def load(lab: paths.LabPaths) -> Receipt | None:
    """The last fault, active or cleared. Raises ConfigError for a file that somebody has spoilt."""
    file = path(lab)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Receipt)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise errors.ConfigError(
            f"{file} is not what labkit has written: {error}",
            hint="move it away; then `labkit down` and `labkit up` undo what was done to the nodes",
        ) from error


def active(lab: paths.LabPaths) -> Receipt | None:
    """The fault that the lab has now."""
    found = load(lab)
    return found if found and found.is_active else None


def keep(lab: paths.LabPaths, receipt: Receipt, **changes: Any) -> Receipt:
    """Write it, whole or not at all; return it with the changes."""
    kept = replace(receipt, **changes)
    paths.ensure_file(path(lab), msgspec.json.encode(kept).decode(), 0o600)
    return kept


def forget(lab: paths.LabPaths) -> None:
    path(lab).unlink(missing_ok=True)
