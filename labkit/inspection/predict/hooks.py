"""One machine, hook by hook, in the kernel's order, and its routing between them.

    sent by a process   OUTPUT ─ route ─┬─ POSTROUTING ──▶ leaves
                                        └─ POSTROUTING, lo, PREROUTING, INPUT ──▶ a process here
    arriving            PREROUTING ─ route ─┬─ INPUT ──▶ a process here
                                            └─ FORWARD ─ POSTROUTING ──▶ leaves

Routing comes after the destination has been rewritten: that is why REDIRECT can keep a packet
here that was on its way elsewhere. A connection is translated once in each direction, so what
comes back over `lo` does not meet the nat table again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from labkit.inspection.predict import packets, walking

#: Where a packet goes, and where its source may still be rewritten.
_BEFORE_ROUTING = ("raw", "mangle", "nat")
_LOCAL_OUT = ("raw", "mangle", "nat", "filter")
_AFTER_ROUTING = ("mangle", "nat")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a packet's way over one machine ended: delivered, sent on, or stopped on the way."""

    passage: walking.Passage
    delivered: bool = False

    @property
    def stopped(self) -> bool:
        return bool(self.passage.verdict)


def send(machine: packets.Machine, packet: packets.Packet) -> Iterator[Outcome]:
    """A process on the machine sends it."""
    out = replace(packet, arrives_by="", leaves_by=_leaves_by(machine, packet))
    for passage in _through(machine, "OUTPUT", _LOCAL_OUT, walking.Passage(out)):
        routed = _routed(machine, passage)
        for sent in _through(machine, "POSTROUTING", _AFTER_ROUTING, routed):
            if machine.is_local(sent.packet.destination):
                yield from _loop_back(machine, sent)
            else:
                yield Outcome(sent)


def receive(machine: packets.Machine, packet: packets.Packet) -> Iterator[Outcome]:
    """It arrives by the interface that it names."""
    start = walking.Passage(replace(packet, leaves_by=""))
    for passage in _through(machine, "PREROUTING", _BEFORE_ROUTING, start):
        if machine.is_local(passage.packet.destination):
            for inside in _through(machine, "INPUT", ("mangle", "filter", "nat"), passage):
                yield Outcome(inside, delivered=not inside.verdict)
            continue
        for onward in _through(machine, "FORWARD", ("mangle", "filter"), _routed(machine, passage)):
            for sent in _through(machine, "POSTROUTING", _AFTER_ROUTING, onward):
                yield Outcome(sent)


def _loop_back(machine: packets.Machine, passage: walking.Passage) -> Iterator[Outcome]:
    inward = replace(passage, packet=replace(passage.packet, arrives_by="lo", leaves_by=""))
    for arrived in _through(machine, "PREROUTING", ("raw", "mangle"), inward):
        for inside in _through(machine, "INPUT", ("mangle", "filter"), arrived):
            yield Outcome(inside, delivered=not inside.verdict)


def _through(
    machine: packets.Machine, hook: str, tables: tuple[str, ...], passage: walking.Passage
) -> list[walking.Passage]:
    """All tables of a hook; each way through one is walked on through the next."""
    ways = [passage]
    for table in tables:
        ways = [after for way in ways for after in walking.walk(machine, table, hook, way)]
    return ways


def _routed(machine: packets.Machine, passage: walking.Passage) -> walking.Passage:
    out = replace(passage.packet, leaves_by=_leaves_by(machine, passage.packet))
    return replace(passage, packet=out)


def _leaves_by(machine: packets.Machine, packet: packets.Packet) -> str:
    if machine.is_local(packet.destination):
        return "lo"
    return machine.route(packet.destination).name
