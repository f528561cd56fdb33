"""The Services of a node as its rules know them, whichever kube-proxy wrote them, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.inspection import schema, sockets
from labkit.inspection.modes import iptables, userspace, values
from labkit.model import portals, rules

SCHEMA, VERSION = "rules-inspection", 1

#: The jump by which packets get into each of iptables mode's chains: table, hook, chain.
_JUMPS = (
    ("nat", "PREROUTING", "KUBE-SERVICES"),
    ("nat", "OUTPUT", "KUBE-SERVICES"),
    ("nat", "POSTROUTING", "KUBE-POSTROUTING"),
    ("filter", "FORWARD", "KUBE-FORWARD"),
)
_LEGEND = (
    "The tree behind the doors: the share of all new connections that a rule takes, its packets so "
    "far, the rule. A rule that takes only `some` asks what a packet is like."
)


@dataclass(frozen=True, slots=True, repr=False)
class RulesInspection(shown.Shown):
    """What the rules of one node make of Services. `problems` are sentences."""

    name: str
    modes: tuple[values.Mode, ...]
    ports: tuple[values.PortRules, ...]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def document(self) -> document.Section:
        modes = " and ".join(self.modes) or "no kube-proxy's"
        problems = (document.Text(document.bad(problem)) for problem in self.problems)
        return document.Section(
            f"{self.name}: {modes} rules, {len(self.ports)} service ports",
            (*problems, *(_port_section(port) for port in self.ports)),
        )


def inspect_rules(
    ruleset: rules.Ruleset,
    *,
    name: str = "rules",
    service: str = "",
    listening: Iterable[sockets.Socket] = (),
) -> RulesInspection:
    """Read every Service, or only `namespace/name`, from the rules of one node. Pure."""
    modes: list[values.Mode] = []
    ports: list[values.PortRules] = []
    if userspace.is_used(ruleset):
        modes.append("userspace")
        ports += userspace.read_ports(ruleset, listening)
    if iptables.is_used(ruleset):
        modes.append("iptables")
        ports += iptables.read_ports(ruleset)
    chosen = tuple(port for port in ports if service in ("", port.service))
    return RulesInspection(name, tuple(modes), chosen, tuple(_problems(ruleset, modes)))


def _problems(ruleset: rules.Ruleset, modes: list[values.Mode]) -> Iterator[str]:
    if len(modes) == 2 and any(ruleset.rules("nat", chain.name) for chain in portals.CHAINS):
        yield "rules of both modes at once: one kube-proxy has left its rules behind"
    if "userspace" in modes:
        for chain in portals.CHAINS:
            if ruleset.chain(chain.table, chain.name):
                yield from _jump_problem(ruleset, chain.table, chain.hook, chain.name)
    if "iptables" in modes:
        for table, hook, name in _JUMPS:
            if ruleset.chain(table, hook) and ruleset.chain(table, name):
                yield from _jump_problem(ruleset, table, hook, name)


def _jump_problem(ruleset: rules.Ruleset, table: str, hook: str, name: str) -> Iterator[str]:
    if not any(each.spec.endswith(f"-j {name}") for each in ruleset.rules(table, hook)):
        yield f"the jump from {hook} to {name} ({table}) is missing: no packet gets there"


def _port_section(port: values.PortRules) -> document.Section:
    blocks: list[document.Block] = []
    if port.affinity_s:
        blocks.append(
            document.Text(f"Session affinity: a client keeps its pod for {port.affinity_s} s.")
        )
    blocks.append(_doors_table(port))
    for doors, endpoints in _endpoint_groups(port):
        rows: list[list[document.Cell]] = [
            [one.address, f"{one.share:.1%}", one.chain, one.packets, one.bytes]
            for one in endpoints
        ]
        columns = ("endpoint", "share", "chain", "packets", "bytes")
        blocks.append(document.Table(columns, rows, f"Behind {doors}"))
    if port.mode == "userspace":
        blocks.append(
            document.Text("The rules end at the proxy's port; the proxy itself chooses a pod.")
        )
    if port.tree:
        blocks.append(document.Text(_LEGEND))
        blocks.append(document.Code(tuple(_tree_lines(port))))
    return document.Section(f"{port.name} ({port.mode} mode)", tuple(blocks))


def _doors_table(port: values.PortRules) -> document.Table:
    rows: list[list[document.Cell]] = [
        [door.dialled, door.kind, door.protocol, door.packets, _target(door), _aside(door)]
        for door in port.doors
    ]
    columns = ("dialled", "as", "protocol", "packets", "leads to", "and")
    return document.Table(columns, rows, "Doors", long_last=True)


def _target(door: values.Door) -> document.Cell:
    if door.refused:
        return document.bad(door.refused)
    if door.listener == "nobody":
        return document.bad(f"{door.leads_to}, where nobody listens")
    return f"{door.leads_to}, where {door.listener} listens" if door.listener else door.leads_to


def _aside(door: values.Door) -> str:
    """What else is to be known of a door, and its rule."""
    parts = [
        f"only a packet that {door.when}" if door.when else "",
        f"masqueraded: {door.masquerade}" if door.masquerade else "",
        door.text,
    ]
    return "; ".join(part for part in parts if part)


def _endpoint_groups(
    port: values.PortRules,
) -> Iterator[tuple[str, tuple[values.Endpoint, ...]]]:
    """Doors that lead to the same endpoints with the same shares are told together."""
    groups: dict[tuple[values.Endpoint, ...], list[str]] = {}
    for door in port.doors:
        if door.endpoints:
            groups.setdefault(door.endpoints, []).append(door.kind)
    for endpoints, kinds in groups.items():
        yield ", ".join(dict.fromkeys(kinds)), endpoints


def _tree_lines(port: values.PortRules) -> Iterator[str]:
    for one in port.tree:
        share = "  some" if one.share is None else f"{one.share:6.1%}"
        yield f"{share} {one.packets:>8}  {'  ' * one.depth}{one.text.removeprefix('-A ')}"
