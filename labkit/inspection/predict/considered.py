"""Rules that a packet met, in order: those that took it, and those that did not, each with why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.display import document


@dataclass(frozen=True, slots=True)
class Considered:
    """A rule that the packet met. `refusal` says why it did not take it; empty: it did."""

    machine: str
    hook: str
    table: str
    rule: str
    refusal: str


def show(considered: Iterable[Considered]) -> tuple[document.Section, ...]:
    """A section with all of them; none where nobody asked."""
    rows = [
        [one.machine, one.hook, one.table, one.refusal or "takes it", one.rule]
        for one in considered
    ]
    if not rows:
        return ()
    columns = ("node", "hook", "table", "why not", "rule")
    return (document.Section("Rules considered", (document.Table(columns, rows, long_last=True),)),)
