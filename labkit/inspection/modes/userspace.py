"""Userspace mode: every door leads to a port of the proxy, and the rules know nothing beyond it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labkit.inspection import nodes, sockets
from labkit.inspection.explain import phrases
from labkit.inspection.modes import conditions, values
from labkit.model import portals, rules


def is_used(ruleset: rules.Ruleset) -> bool:
    return any(_chains(ruleset))


def read_ports(
    ruleset: rules.Ruleset, listening: Iterable[sockets.Socket] = ()
) -> tuple[values.PortRules, ...]:
    """Every port of every Service. With `listening`, who holds each proxy port."""
    listening = tuple(listening)
    doors: dict[str, list[values.Door]] = {}
    for chain in _chains(ruleset):
        for each in chain.rules:
            if "/" in each.comment:
                doors.setdefault(each.comment, []).append(_read_door(each, listening))
    return tuple(
        values.PortRules(name, "userspace", 0, tuple(found)) for name, found in doors.items()
    )


def _chains(ruleset: rules.Ruleset) -> Iterator[rules.Chain]:
    for known in portals.CHAINS:
        if known.table == "nat" and (chain := ruleset.chain("nat", known.name)):
            yield chain


def _read_door(each: rules.Rule, listening: tuple[sockets.Socket, ...]) -> values.Door:
    counters = each.counters or rules.Counters()
    port = nodes.proxy_port_of(each)
    protocol = (each.value("-p") or "").upper()
    holder = sockets.find_listener(listening, protocol, port)
    return values.Door(
        kind=_kind(each),
        address=phrases.address(each.value("-d") or ""),
        port=int(each.value("--dport") or 0),
        protocol=protocol,
        chain=each.chain,
        leads_to=f"proxy port {port}",
        packets=counters.packets,
        bytes=counters.bytes,
        text=each.text,
        when=conditions.conditions_of(each),
        masquerade="always: the proxy makes a connection of its own",
        listener=holder.owner if holder else "nobody" if listening else "",
    )


def _kind(each: rules.Rule) -> str:
    """A load balancer's address and a clusterIP have the same rules."""
    if each.value("-d") is None:
        return "nodePort"
    return "externalIP" if conditions.conditions_of(each) else "clusterIP or load balancer"
