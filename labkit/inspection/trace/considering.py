"""The rules that a packet met, and of each that did not take it the condition that said no. Pure.

The kernel tells of each rule that matches, and of the policy where none decided; of nothing
between, and not of a chain that comes to its end. That is known from the rules as they stand: what
comes before a rule that matched did not, and neither did the rest of a chain that was left. What
such a rule asks for is asked once more, of the packet as the kernel showed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from labkit.inspection import collect
from labkit.inspection.predict import asking, considered, judging, packets, refusing
from labkit.inspection.trace import events, joining
from labkit.model import rules


def list_considered(
    story: joining.Story, states: Sequence[collect.NodeState], protocol: str
) -> tuple[considered.Considered, ...]:
    """Of the first packet; once a proxy has taken it, of the proxy's own, which goes on instead."""
    machines = {state.node.name: asking.build_machine(state) for state in states}
    return tuple(
        one
        for passage in story.onward or story.there
        if passage.node in machines
        for one in _Reading(machines[passage.node], protocol.lower()).read(passage)
    )


@dataclass(slots=True)
class _Chain:
    """A chain that the packet is in, and how far its rules have been read."""

    name: str
    known: Sequence[rules.Rule]
    read: int = 0

    def rest(self, rule: str = "") -> Sequence[rules.Rule]:
        """Those up to `rule`, which took it; else those up to the end."""
        begin, texts = self.read, [one.text for one in self.known]
        found = rule in texts[begin:]
        end = texts.index(rule, begin) if found else begin if rule else len(texts)
        self.read = end + found
        return self.known[begin:end]


class _Reading:
    """Follows one packet through the chains of one machine."""

    def __init__(self, machine: packets.Machine, protocol: str) -> None:
        self._machine = machine
        self._protocol = protocol
        self._hook = self._table = ""
        self._inside: list[_Chain] = []

    def read(self, passage: events.Passage) -> Iterator[considered.Considered]:
        for judged in passage.judged:
            self._table = judged.table
            self._enter_hook(judged.chain)
            packet = _packet(judged.looks, self._protocol)
            while self._inside and self._inside[-1].name != judged.chain:
                yield from self._refused(self._inside.pop().rest(), packet)
            if self._inside:
                yield from self._refused(self._inside[-1].rest(judged.rule), packet)
                yield from self._took(judged)

    def _enter_hook(self, chain: str) -> None:
        """The kernel's own chains are called as their hooks are: there a packet begins anew."""
        known = self._machine.rules.chain(self._table, chain)
        inside = {one.name for one in self._inside}
        if known and known.policy and chain not in inside:
            self._hook, self._inside = chain, [self._open(chain)]

    def _open(self, chain: str) -> _Chain:
        return _Chain(chain, self._machine.rules.rules(self._table, chain))

    def _took(self, judged: events.Judged) -> Iterator[considered.Considered]:
        if judged.rule:
            yield self._say(judged.rule, "")
        kind, _, chain = judged.verdict.partition(":")
        match kind:
            case "JUMP":
                self._inside.append(self._open(chain))
            case "GOTO":
                self._inside[-1] = self._open(chain)
            case "RETURN":
                self._inside.pop()
            case "CONTINUE":
                pass
            case _:
                self._inside.clear()

    def _refused(
        self, passed_by: Sequence[rules.Rule], packet: packets.Packet
    ) -> Iterator[considered.Considered]:
        for rule in passed_by:
            yield self._say(rule.text, _refusal(rule, packet, self._machine))

    def _say(self, rule: str, refusal: str) -> considered.Considered:
        return considered.Considered(self._machine.name, self._hook, self._table, rule, refusal)


def _refusal(rule: rules.Rule, packet: packets.Packet, machine: packets.Machine) -> str:
    judged = judging.judge(rule, packet, machine)
    if judged.chance == 0:
        return refusing.explain_refusal(judged.condition, packet)
    if judged.condition:
        return f"{judged.condition}: not to be told from the packet alone"
    return "the kernel said no; when it was read, the rule would have said yes"


def _packet(looks: events.Looks, protocol: str) -> packets.Packet:
    return packets.Packet(
        protocol,
        IPv4Address(looks.source),
        IPv4Address(looks.destination),
        looks.port,
        looks.source_port,
        arrives_by=looks.came_by,
        leaves_by=looks.leaves_by,
        mark=looks.mark,
    )
