"""Does a rule take a packet? All its conditions have to hold; the first that does not is named.

A condition answers with a chance: 1 and 0 for yes and no, what stands in the rule for
`-m statistic`, and None where the rules alone do not tell (an extension that asks for something
else than the packet and the machine). `-m recent` is answered for a client that comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from labkit.inspection.predict import packets
from labkit.model import rules

Chance = float | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """`chance` is that of being taken. `condition` is what said no, or cannot be told."""

    chance: Chance
    condition: str = ""


def judge(rule: rules.Rule, packet: packets.Packet, machine: packets.Machine) -> Judgement:
    chance, unknown = 1.0, ""
    for module, option in _conditions(rule):
        one = _ask(option, packet, machine)
        text = _render(module, option)
        if one == 0:
            return Judgement(0.0, text)
        if one is None:
            unknown = unknown or text
        else:
            chance *= one
    return Judgement(None, unknown) if unknown else Judgement(chance)


def _conditions(rule: rules.Rule) -> Iterator[tuple[str, rules.Option]]:
    for match in rule.matches:
        if not match.options and match.module not in _SILENT:
            yield match.module, rules.Option(f"-m {match.module}")
        for option in match.options:
            if option.flag not in _BESIDE:
                yield match.module, option


def _ask(option: rules.Option, packet: packets.Packet, machine: packets.Machine) -> Chance:
    try:
        chance = _chance(option.flag, option.values, packet, machine)
    except (ValueError, IndexError, ZeroDivisionError):
        return None
    return 1 - chance if chance is not None and option.negated else chance


def _chance(  # noqa: C901 - a table of conditions, and nothing else
    flag: str, values: tuple[str, ...], packet: packets.Packet, machine: packets.Machine
) -> Chance:
    match flag:
        case "-s":
            return _in_network(packet.source, values[0])
        case "-d":
            return _in_network(packet.destination, values[0])
        case "-i":
            return _interface(packet.arrives_by, values[0], machine)
        case "-o":
            return _interface(packet.leaves_by, values[0], machine)
        case "-p":
            return _protocol(packet, values[0])
        case "--dport" | "--dports":
            return _in_ports(packet.port, values[0])
        case "--sport" | "--sports":
            return _in_ports(packet.source_port, values[0])
        case "--tcp-flags":
            return _flags(values, packet)
        case "--dst-type":
            return _yes(machine.kind_of(packet.destination) in values[0].split(","))
        case "--src-type":
            return _yes(machine.kind_of(packet.source) in values[0].split(","))
        case "--mark":
            return _masked(packet.mark, values[0])
        case "--ctstate" | "--state":
            return _yes(not packet.states.isdisjoint(values[0].split(",")))
        case "--probability":
            return float(values[0])
        case "--every":
            return 1 / int(values[0])
        case "--physdev-is-in":
            return _came_by_bridge(packet, machine)
        case "--syn" | "--set":
            return 1.0
        case "--rcheck" | "--update" | "-f":
            return 0.0
        case _:
            return None


def _render(module: str, option: rules.Option) -> str:
    words = [f"-m {module}"] if module and not option.flag.startswith("-m") else []
    words += ["!"] if option.negated else []
    return " ".join([*words, option.flag, *option.values])


# --- the conditions ------------------------------------------------------------------------------


def _yes(holds: bool) -> Chance:  # noqa: FBT001 - it turns a bool into a chance
    return float(holds)


def _in_network(address: IPv4Address, text: str) -> Chance:
    return _yes(address in IPv4Network(text, strict=False))


def _interface(name: str, pattern: str, machine: packets.Machine) -> Chance:
    """`eth+` is every name that begins so. What is on no interface matches no name."""
    if name == packets.UNREAD:
        return 0.0 if pattern == "lo" or machine.interface(pattern) else None
    if pattern.endswith("+"):
        return _yes(name.startswith(pattern[:-1]))
    return _yes(name == pattern)


def _in_ports(port: int, text: str) -> Chance:
    """`80`, `80:90`, `:1023`; several by commas."""
    for item in text.split(","):
        low, colon, high = item.partition(":")
        first, last = int(low or 0), int(high or 65535) if colon else int(low)
        if first <= port <= last:
            return 1.0
    return 0.0


def _masked(number: int, text: str) -> Chance:
    value, _, mask = text.partition("/")
    return _yes(number & int(mask or "0xffffffff", 0) == int(value, 0))


def _protocol(packet: packets.Packet, text: str) -> Chance:
    numbers = {"1": "icmp", "6": "tcp", "17": "udp", "132": "sctp"}
    return _yes(text in ("all", "0") or numbers.get(text, text) == packet.protocol)


def _came_by_bridge(packet: packets.Packet, machine: packets.Machine) -> Chance:
    found = machine.interface(packet.arrives_by)
    return _yes(found is not None and found.is_bridge)


def _flags(values: tuple[str, ...], packet: packets.Packet) -> Chance:
    """The first packet of a connection has SYN alone."""
    mask, wanted = (set(text.split(",")) - {"NONE"} for text in values)
    if "ALL" in mask:
        mask = {"SYN", "ACK", "FIN", "RST", "URG", "PSH"}
    return _yes(packet.protocol == "tcp" and mask & {"SYN"} == wanted)


#: Options that say more about a condition, and are none themselves.
_BESIDE = frozenset(
    {"--comment", "--mode", "--packet", "--name", "--rsource", "--rdest", "--mask"}
    | {"--seconds", "--reap", "--hitcount"}
)
#: Extensions that without options ask for nothing that `-p` did not ask for.
_SILENT = frozenset({"", "tcp", "udp", "sctp", "comment"})
