"""What the verbs return: values with a text, an HTML and a JSON form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labkit.display import shown
from labkit.display.document import Block, Code, Section, Table, Text, bad, good
from labkit.faults import catalogue, receipts
from labkit.inspection import schema

VERSION = 1


@dataclass(frozen=True, slots=True, repr=False)
class Listing(shown.Shown):
    """All faults that there are, and the one that the lab has."""

    active: receipts.Receipt | None = None

    def document(self) -> Section:
        rows = [
            (one.layer, one.id, "a node" if one.bound == "node" else "the cluster", one.title)
            for one in catalogue.FAULTS.values()
        ]
        table = Table(("layer", "fault", "of", "what is broken"), rows, long_last=True)
        now = self.active.document() if self.active else Text("The lab has no fault now.")
        return Section("Faults", (table, now))

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "labkit.dev/faults",
            "version": VERSION,
            "faults": [
                {
                    key: getattr(one, key)
                    for key in ("id", "layer", "bound", "title", "symptom", "cause")
                }
                for one in catalogue.FAULTS.values()
            ],
            "active": self.active.to_json() if self.active else None,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Cleared(shown.Shown):
    """A fault was undone. `differences` are all lines that are not as they were before it."""

    fault: str = ""
    node: str = ""
    did: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.unanswered and not self.differences

    def document(self) -> Section:
        if not self.fault:
            return Section("No fault to clear", (Text("The lab has none."),))
        return Section(f"Fault {self.fault} is undone", tuple(self._blocks()))

    def _blocks(self) -> Iterator[Block]:
        known = catalogue.find(self.fault)
        yield Text(f"It was {receipts.where(self.node)}: {known.title}.")
        yield Text(known.cause)
        yield Section("What was done", (Code(self.did),))
        for words in self.unanswered:
            yield Text(bad(f"{words}: still no answer"))
        if not self.unanswered:
            yield Text(good("Requests are answered again."))
        if self.differences:
            said = "These lines are not as before the fault; somebody else has changed them:"
            yield Section(said, (Code(self.differences),))
        else:
            yield Text(good("Rules, addresses, routes and objects are as before, to the letter."))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("fault-cleared", VERSION, self)


@dataclass(frozen=True, slots=True, repr=False)
class Grade(shown.Shown):
    """A diagnosis, part by part. What is wrong in it is not told: only that it is."""

    node: bool
    layer: bool
    cause: bool
    repaired: bool
    #: The fault's name, when all of it is right or there is nothing left to hide.
    fault: str = ""
    unanswered: tuple[str, ...] = ()

    @property
    def diagnosed(self) -> bool:
        return self.node and self.layer and self.cause

    @property
    def ok(self) -> bool:
        return self.diagnosed and self.repaired

    def document(self) -> Section:
        return Section("Your diagnosis", tuple(self._blocks()))

    def _blocks(self) -> Iterator[Block]:
        for part in ("node", "layer", "cause"):
            right = getattr(self, part)
            mark = good(f"{part}: right") if right else bad(f"{part}: wrong")
            yield Text(mark)
        if self.repaired:
            yield Text(good("repair: every request is answered again"))
        else:
            yield Text(bad("repair: not yet"))
            yield from (Text(f"{words}: no answer") for words in self.unanswered)
        if self.fault:
            known = catalogue.find(self.fault)
            yield Text(f"{known.title}. {known.cause}")

    def to_json(self) -> dict[str, Any]:
        return {**schema.envelope("fault-grade", VERSION, self), "ok": self.ok}
