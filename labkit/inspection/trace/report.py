"""A trace as a value: the hops in their order, each with the rules that matched there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labkit.display import document, html, lanes, shown
from labkit.inspection import schema
from labkit.inspection.predict import asking, considered
from labkit.inspection.trace import joining, verdict

SCHEMA = "trace"
VERSION = 1


@dataclass(frozen=True, slots=True, repr=False)
class Trace(shown.Shown):
    """One request that was really sent. `verdict` is None where it was answered.

    `translations` are the nodes' conntrack entries, both directions of each. `considered` are the
    rules that it met, with why those that did not take it said no; of other Services' rules none.
    `request` is what was asked for, with the way that was meant, to ask it again.
    """

    service: str
    sender: str
    dialled: str
    protocol: str
    command: str
    hops: tuple[joining.Hop, ...]
    translations: tuple[str, ...]
    verdict: verdict.Verdict | None = None
    problems: tuple[str, ...] = ()
    considered: tuple[considered.Considered, ...] = ()
    request: asking.Request | None = None

    @property
    def ok(self) -> bool:
        return self.verdict is None and not self.problems

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def draw(self) -> str:
        """The lanes: as SVG, with the words of the text form in its description."""
        return lanes.render([(hop.where, hop.what) for hop in self.hops], title=self._heading)

    @property
    def _heading(self) -> str:
        return f"{self.sender} asks {self.service} at {self.dialled}, hop by hop"

    def _summary(self) -> Iterator[document.Block]:
        if self.verdict is None:
            yield document.Text(document.good("The request was answered."))
        else:
            yield document.Text(document.bad(f"It ended at {self.verdict.at}."))
            end = "" if self.verdict.cause[-1] in ".?" else "."
            yield document.Text(f"Likely because {self.verdict.cause}{end}")
        for problem in self.problems:
            yield document.Text(document.bad(problem))

    def _table(self) -> document.Table:
        rows: list[list[document.Cell]] = []
        for number, hop in enumerate(self.hops, 1):
            ms = "" if hop.ms is None else f"{hop.ms:g}"
            rows.append([str(number), ms, hop.where, hop.what])
            rows += [["", "", f"  {one.table} {one.chain}", _say(one)] for one in hop.steps]
        return document.Table(("hop", "ms", "where", "what"), rows, "The way", long_last=True)

    def _conntrack(self) -> tuple[document.Block, ...]:
        told = self.translations or ("nothing of this request",)
        return (document.Code(tuple(told)),)

    def document(self) -> document.Section:
        return document.Section(
            self._heading,
            (
                *self._summary(),
                self._table(),
                *considered.show(self.considered),
                document.Section("What connection tracking holds", self._conntrack()),
                document.Section("The request by hand", (document.Code((self.command,)),)),
            ),
        )

    def _repr_html_(self) -> str:
        return self.draw() + html.render(self.document())


def _say(step: joining.Step) -> str:
    text = step.rule.removeprefix(f"-A {step.chain} ")
    return f"{text}: {step.words}" if text else step.words
