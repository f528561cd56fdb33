"""Read a node for one layer, in one round trip, or take the text of a saved rule set instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labkit import errors
from labkit.inspection import collect, sockets
from labkit.inspection.explain import chains
from labkit.inspection.explain import rule as explaining
from labkit.inspection.layers import connections, conntrack, rows
from labkit.inspection.modes import report
from labkit.model import resources, rules, ruletext

#: The sections of the script that a layer is made of.
WANTED = {
    "service": "rules sockets processes",
    "chains": "rules",
    "rules": "rules",
    "conntrack": "conntrack",
    "sockets": "sockets processes",
    "connections": "connections",
    "endpoints": "rules",
    "node": "facts",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one node answered. `trouble` says why something could not be read."""

    name: str
    sections: dict[str, str]
    trouble: str = ""

    @property
    def rules(self) -> rules.Ruleset:
        return ruletext.parse_ruleset(self.sections.get("rules", ""))

    @property
    def sockets(self) -> tuple[sockets.Socket, ...]:
        return sockets.parse_sockets(
            self.sections.get("sockets", ""), self.sections.get("processes", "")
        )


def read(connection: collect.Connection, layer: str) -> Look:
    """Look at one node. A node that does not answer is a finding: its Look says why."""
    try:
        return ask(connection, layer)
    except errors.LabkitError as error:
        return Look(connection.name, {}, error.message)


def ask(connection: collect.Connection, layer: str) -> Look:
    """Look at one node. Raises what the connection raises."""
    wanted = WANTED[layer]
    done = connection.script(f"WANTED='{wanted}'\n{collect.look_script()}", check=False)
    found, failed = collect.split_sections(done.stdout)
    missing = collect.explain_missing(set(wanted.split()), found, failed, done.stderr)
    return Look(connection.name, found, missing)


def from_text(name: str, text: str) -> Look:
    """A saved `iptables-save`: no sockets, no connections."""
    return Look(name, {"rules": text})


def list_rows(look: Look, layer: str, *, chain: str = "") -> tuple[rows.Row, ...]:
    """The lines of a layer; `chain` leaves out the rules and chains of other names. Pure."""
    match layer:
        case "chains":
            return tuple(_chains(look.rules, chain))
        case "rules":
            return tuple(_rules(look.rules, chain))
        case "conntrack":
            return conntrack.parse_conntrack(look.sections.get("conntrack", ""))
        case "sockets":
            return tuple(
                rows.SocketRow(one.protocol, one.address, one.port, one.owner)
                for one in look.sockets
            )
        case "connections":
            return connections.parse_connections(look.sections.get("connections", ""))
        case "endpoints":
            return tuple(_endpoints(look.rules))
        case _:
            return tuple(_facts(look.sections.get("facts", "")))


def _chains(ruleset: rules.Ruleset, only: str) -> Iterator[rows.ChainRow]:
    for table in ruleset.tables:
        for chain in table.chains:
            if only in ("", chain.name):
                counted = [one.counters or rules.Counters() for one in chain.rules]
                yield rows.ChainRow(
                    table.name,
                    chain.name,
                    chain.policy or "",
                    len(chain.rules),
                    chain.counters.packets + sum(one.packets for one in counted),
                    chains.explain_chain(chain.name),
                )


def _rules(ruleset: rules.Ruleset, only: str) -> Iterator[rows.RuleRow]:
    for table in ruleset.tables:
        names = {chain.name for chain in table.chains}
        for chain in table.chains:
            for each in chain.rules if only in ("", chain.name) else ():
                counters = each.counters or rules.Counters()
                told = explaining.explain_rule(each, table=table.name, chain_names=names)
                yield rows.RuleRow(
                    table.name,
                    chain.name,
                    counters.packets,
                    counters.bytes,
                    told.text,
                    told.command,
                    told.sentence,
                )


def _endpoints(ruleset: rules.Ruleset) -> Iterator[rows.EndpointRow]:
    for port in report.inspect_rules(ruleset).ports:
        ends = dict.fromkeys(end for door in port.doors for end in door.endpoints)
        for end in ends:
            share = f"{end.share:.1%}"
            yield rows.EndpointRow(port.name, end.address, share, end.chain, end.packets)
        if not ends:
            door = port.doors[0]
            yield rows.EndpointRow(port.name, "", door.refused or "the proxy chooses",
                                   door.leads_to, 0)  # fmt: skip


def list_endpoints(objects: Iterable[resources.Object]) -> tuple[rows.EndpointRow, ...]:
    """The rows of Endpoints objects: kube-proxy in userspace mode takes them in turn."""
    return tuple(row for each in objects for row in _of_object(each))


def _of_object(each: resources.Object) -> Iterator[rows.EndpointRow]:
    for subset in each.get("subsets") or ():
        for port in subset.get("ports") or ():
            name = ":".join(part for part in (resources.name_of(each), port.get("name")) if part)
            for end in subset.get("addresses") or ():
                where = (end.get("targetRef") or {}).get("name", "")
                address = f"{end['ip']}:{port['port']}"
                yield rows.EndpointRow(name, address, "in turn", where, 0)


def _facts(text: str) -> Iterator[rows.FactRow]:
    for line in text.splitlines():
        fact, _, value = line.partition(" ")
        yield rows.FactRow(fact, value)
