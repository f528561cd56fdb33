"""One packet through one table: from the chain at the hook, into others and back, to a verdict.

A walk is a stack of places. A jump puts one on top, RETURN and a chain's end take it away; what
is left when the stack is empty is the policy. Where a rule takes the packet by lot, or cannot be
judged, the walk splits: one way in which it does, one in which it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from labkit.inspection.predict import judging, packets, rewriting
from labkit.model import rules

_FINAL = frozenset({"ACCEPT", "DROP", "REJECT", "QUEUE", "NFQUEUE"})
#: A chain, and the rule in it that is next.
_Stack: TypeAlias = tuple[tuple[str, int], ...]
_Way: TypeAlias = "tuple[Passage, _Stack]"


@dataclass(frozen=True, slots=True)
class Hop:
    """A rule that was met. `refused_by` is the condition that said no; empty: it took the packet.

    `after` is the packet as the rule left it.
    """

    machine: str
    hook: str
    table: str
    rule: rules.Rule
    after: packets.Packet
    refused_by: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A packet on its way. `share` is how often it goes this way, of all times.

    `verdict` is empty as long as nothing has stopped it. `unsure` are conditions that the rules
    alone do not decide; this is the way if they are as is said there.
    """

    packet: packets.Packet
    share: float = 1.0
    hops: tuple[Hop, ...] = ()
    unsure: tuple[str, ...] = ()
    verdict: str = ""

    @property
    def taken(self) -> tuple[Hop, ...]:
        """The rules that took the packet, in order."""
        return tuple(hop for hop in self.hops if not hop.refused_by)


def walk(machine: packets.Machine, table: str, hook: str, passage: Passage) -> Iterator[Passage]:
    """Every way that the packet can take through `table` at `hook`."""
    chain = machine.rules.chain(table, hook)
    if chain is None or passage.verdict:
        yield passage
        return
    todo: list[_Way] = [(passage, ((hook, 0),))]
    while todo:
        start, stack = todo.pop()
        ended, ways = _Walk(machine, table, hook).run(start, stack)
        todo += ways
        if ended:
            verdict = ended.verdict or chain.policy or "ACCEPT"
            yield replace(ended, verdict="" if verdict == "ACCEPT" else verdict)


@dataclass(frozen=True, slots=True)
class _Walk:
    machine: packets.Machine
    table: str
    hook: str

    def run(self, start: Passage, stack: _Stack) -> tuple[Passage | None, list[_Way]]:
        """Walk to the end, or to where the walk splits: then all ways from there."""
        hops, packet, verdict = list(start.hops), start.packet, start.verdict
        while stack and not verdict:
            (chain, index), below = stack[-1], stack[:-1]
            known = self.machine.rules.rules(self.table, chain)
            if index == len(known):
                stack = below
                continue
            rule, stack = known[index], (*below, (chain, index + 1))
            judged = judging.judge(rule, packet, self.machine)
            missed = Hop(self.machine.name, self.hook, self.table, rule, packet, judged.condition)
            if judged.chance == 0:
                hops.append(missed)
                continue
            after, verdict, onward = self._obey(rule, packet, stack)
            took = replace(missed, after=after, refused_by="")
            if judged.chance != 1:
                here = replace(start, packet=packet, hops=tuple(hops))
                misses = _take(here, judged, missed, hit=False), stack
                hits = replace(_take(here, judged, took, hit=True), verdict=verdict), onward
                return None, [misses, hits]
            hops.append(took)
            packet, stack = after, onward
        return replace(start, packet=packet, hops=tuple(hops), verdict=verdict), []

    def _obey(
        self, rule: rules.Rule, packet: packets.Packet, stack: _Stack
    ) -> tuple[packets.Packet, str, _Stack]:
        """The packet after the rule's target, a verdict if there is one, and where it goes on."""
        target = rule.target
        if target is None or target.name in rewriting.PASSING:
            return packet, "", stack
        if target.name == "RETURN":
            return packet, "", stack[:-1]
        if target.name in _FINAL:
            return packet, target.name, stack
        if target.name in rewriting.NAT:
            return rewriting.translate(target, packet, self.machine, self.hook), "ACCEPT", stack
        if target.name == "MARK":
            return rewriting.mark(target, packet), "", stack
        return packet, "", (*(stack[:-1] if target.goto else stack), (target.name, 0))


def _take(here: Passage, judged: judging.Judgement, hop: Hop, *, hit: bool) -> Passage:
    """One of two ways from a rule that is not certain."""
    share, unsure = here.share, here.unsure
    if judged.chance is None:
        unsure = (*unsure, judged.condition if hit else f"not: {judged.condition}")
    else:
        share *= judged.chance if hit else 1 - judged.chance
    if not hit:
        hop = replace(hop, refused_by=judged.condition or "the lot")
    return replace(here, packet=hop.after, share=share, unsure=unsure, hops=(*here.hops, hop))
