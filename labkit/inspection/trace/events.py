"""What `xtables-monitor --trace` prints, as values. Pure.

    PACKET: 2 d3bbb1c2 IN=eth0 ... SRC=192.168.56.100 DST=192.168.56.11 ... SPORT=20123 DPORT=80
     TRACE: 2 d3bbb1c2 nat:PREROUTING:rule:0x8:JUMP:KUBE-PORTALS-CONTAINER  -4 -t nat -A ...
     TRACE: 2 d3bbb1c2 filter:INPUT:policy:ACCEPT

A PACKET line says what the packet looks like from here on: when a rule has changed it, there is
another. The number is where the kernel keeps the packet: the next one may get the same, and one
that is rewritten another. But each packet begins with the table raw, and goes on as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

#: A moment, in seconds since the epoch by the node's clock, and a line that was heard then.
Heard = tuple[float, str]

_PACKET = re.compile(r"PACKET: \d+ (?P<id>[0-9a-f]+) (?P<fields>.*)")
_TRACE = re.compile(
    r" TRACE: \d+ (?P<id>[0-9a-f]+) (?P<table>[^:]+):(?P<chain>[^:]+):(?P<kind>rule|return|policy)"
    r"(?::0x[0-9a-f]+)?:(?P<verdict>[A-Z]+(?::[^ ]+)?) *(?:-4 -t [a-z]+ (?P<rule>-A .*))?"
)


@dataclass(frozen=True, slots=True)
class Looks:
    """A packet's addresses as they are at some point, and the cards it came and goes by."""

    source: str
    source_port: int
    destination: str
    port: int
    came_by: str = ""
    leaves_by: str = ""
    flags: str = ""
    mark: int = 0

    @property
    def text(self) -> str:
        return f"{self.source}:{self.source_port} -> {self.destination}:{self.port}"


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule that matched (`rule` is its text), the end of a chain, or a policy."""

    table: str
    chain: str
    verdict: str
    rule: str
    #: What the packet looked like before it.
    looks: Looks


@dataclass(frozen=True, slots=True)
class Passage:
    """One packet on its way through one machine's kernel."""

    node: str
    when: float
    looks: tuple[Looks, ...]
    judged: tuple[Judged, ...]

    @property
    def first(self) -> Looks:
        return self.looks[0]

    @property
    def last(self) -> Looks:
        return self.looks[-1]


@dataclass(slots=True)
class _Open:
    when: float
    looks: list[Looks] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)


def parse_passages(node: str, heard: Iterable[Heard]) -> tuple[Passage, ...]:
    """Every packet that one node told of, in the order in which they came."""
    every: list[_Open] = []
    current: dict[str, _Open] = {}
    shown: dict[str, Looks] = {}
    for when, line in heard:
        if found := _PACKET.match(line):
            shown[found["id"]] = _parse_looks(found["fields"])
        elif (found := _TRACE.match(line)) and (looks := shown.get(found["id"])):
            packet = current.get(found["id"])
            if found["table"] == "raw" and (packet is None or _is_another(packet, looks)):
                packet = _Open(when)
                every.append(packet)
            elif packet is None:
                packet = next((one for one in reversed(every) if _goes_on(one, looks)), None)
            if packet:
                current[found["id"]] = packet
                _note(packet, looks, found)
    return tuple(Passage(node, one.when, tuple(one.looks), tuple(one.judged)) for one in every)


def _is_another(packet: _Open, looks: Looks) -> bool:
    """The table raw comes first, so that whatever has been elsewhere was another packet."""
    return packet.looks[-1] != looks or any(one.table != "raw" for one in packet.judged)


def _goes_on(packet: _Open, looks: Looks) -> bool:
    """The same packet with another number: one end of it is what it was, and so is its card."""
    last = packet.looks[-1]
    source = (last.source, last.source_port) == (looks.source, looks.source_port)
    target = (last.destination, last.port) == (looks.destination, looks.port)
    return last.came_by == looks.came_by and last.flags == looks.flags and (source or target)


def _note(packet: _Open, looks: Looks, found: re.Match[str]) -> None:
    if not packet.looks or packet.looks[-1] != looks:
        packet.looks.append(looks)
    rule = (found["rule"] or "").strip()
    packet.judged.append(Judged(found["table"], found["chain"], found["verdict"], rule, looks))


def _parse_looks(text: str) -> Looks:
    words = text.split()
    fields = dict(word.split("=", 1) for word in words if "=" in word)
    flags = [word for word in words if word in ("SYN", "ACK", "FIN", "RST", "PSH")]
    return Looks(
        fields.get("SRC", ""),
        int(fields.get("SPORT", 0)),
        fields.get("DST", ""),
        int(fields.get("DPORT", 0)),
        fields.get("IN", ""),
        fields.get("OUT", ""),
        ",".join(flags),
        int(fields.get("MARK", "0"), 16),
    )
