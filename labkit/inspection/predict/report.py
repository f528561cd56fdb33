"""A prediction as it is shown: the same facts as text, as HTML and as JSON."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.inspection import schema
from labkit.inspection.predict import considered, journey, refusing, walking

SCHEMA = "prediction"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that takes the packet, and the packet as it is afterwards."""

    machine: str
    hook: str
    table: str
    rule: str
    packet: str


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways that a request can take. `unsure` is what the rules do not decide.

    `considered` are all rules of the chains that it went through, as far as it met them; empty
    where nobody asked why.
    """

    share: float
    end: str
    reached: bool
    unsure: tuple[str, ...]
    steps: tuple[Step, ...]
    considered: tuple[considered.Considered, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Prediction(shown.Shown):
    """Where a request would go. `problems` are nodes that could not be read."""

    service: str
    sender: str
    dialled: str
    ways: tuple[Way, ...]
    problems: tuple[str, ...] = ()

    def document(self) -> document.Section:
        """What all ways have in common is told once, and first."""
        alike = _alike(self.ways)
        begin = self.ways[0].steps[:alike] if alike else ()
        blocks: list[document.Block] = [
            document.Text("Computed from the rules as they are now; nothing was sent."),
            *(document.Text(document.bad(problem)) for problem in self.problems),
            *([document.Section("All of them begin like this", (_table(begin),))] if begin else ()),
            *(_section(way, way.steps[alike:]) for way in self.ways),
        ]
        heading = f"{self.sender} dials {self.dialled} ({self.service})"
        return document.Section(heading, tuple(blocks))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)


def describe(
    service: str,
    sender: str,
    dialled: str,
    found: Sequence[journey.Journey],
    problems: Sequence[str] = (),
    *,
    why: bool = False,
) -> Prediction:
    ways = tuple(_way(one, why=why) for one in found)
    return Prediction(service, sender, dialled, ways, tuple(problems))


def _way(one: journey.Journey, *, why: bool) -> Way:
    steps = tuple(
        Step(hop.machine, hop.hook, hop.table, hop.rule.text, str(hop.after)) for hop in one.hops
    )
    return Way(
        round(one.share, 6),
        one.end,
        one.reached,
        one.unsure,
        steps,
        _considered(one) if why else (),
    )


def _considered(one: journey.Journey) -> tuple[considered.Considered, ...]:
    met = (hop for leg in one.legs for hop in leg.passage.hops)
    return tuple(
        considered.Considered(hop.machine, hop.hook, hop.table, hop.rule.text, _refusal(hop))
        for hop in met
    )


def _refusal(hop: walking.Hop) -> str:
    """A rule that did not take the packet left it as it was."""
    return refusing.explain_refusal(hop.refused_by, hop.after) if hop.refused_by else ""


def _alike(ways: Sequence[Way]) -> int:
    """How many steps all ways have in common at their beginning; 0 where there is one way only."""
    if len(ways) < 2:
        return 0
    begun = zip(*(way.steps for way in ways), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda steps: len(set(steps)) == 1, begun))


def _section(way: Way, steps: Sequence[Step]) -> document.Section:
    """One way, of which `steps` have not been told."""
    end = document.good(way.end) if way.reached else document.bad(way.end)
    notes = [document.Text(f"only if {text}") for text in way.unsure]
    blocks: list[document.Block] = [
        document.Text(end),
        *notes,
        *([_table(steps)] if steps or not way.steps else ()),
        *considered.show(way.considered),
    ]
    return document.Section(f"{way.share:.0%} of requests", tuple(blocks))


def _table(steps: Sequence[Step]) -> document.Table:
    rows = [[step.machine, step.hook, step.table, step.packet, step.rule] for step in steps]
    columns = ("node", "hook", "table", "packet afterwards", "rule")
    return document.Table(columns, rows, empty="no rule takes it", long_last=True)
