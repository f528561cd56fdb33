"""Walk through a tree of chains with all of the traffic, and see where how much of it ends.

    KUBE-SVC-X  1/3 by lot  ──▶ KUBE-SEP-A           1/3
                1/2 by lot  ──▶ KUBE-SEP-B   2/3 x 1/2 = 1/3
                the rest    ──▶ KUBE-SEP-C           1/3

A rule by lot takes its part of what is left, so the numbers written in the rules are not the
shares: they have to be multiplied through. A rule that only takes packets of some kind (from a
network, from a client seen before) gets no number, for the rules do not say how many those are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.inspection.modes import values
from labkit.model import rules

_FINAL = frozenset({"ACCEPT", "DROP", "REJECT"})
#: Extensions that say nothing about which packets: `-m tcp` alone follows from `-p tcp`.
_SILENT = frozenset({"comment", "tcp", "udp", "sctp"})

Chains = Mapping[str, tuple[rules.Rule, ...]]


@dataclass(slots=True)
class Walk:
    """`endpoints` in the order of the rules. `shown` are chains that need not be in `tree` again.

    A chain that is reached twice is in the tree once, with all that reaches it.
    """

    chains: Chains
    shown: set[str] = field(default_factory=set)
    endpoints: list[values.Endpoint] = field(default_factory=list)
    _order: list[tuple[int, str, int]] = field(default_factory=list)
    _shares: dict[tuple[str, int], float | None] = field(default_factory=dict)

    @property
    def tree(self) -> tuple[values.TreeRule, ...]:
        return tuple(self._tree_rule(*place) for place in self._order)

    def follow(self, chain: str, weight: float = 1.0, depth: int = 0) -> float:
        """Send `weight` through `chain`; return how much of it comes out at the end."""
        first_time = chain not in self.shown
        self.shown.add(chain)
        for index, rule in enumerate(self.chains.get(chain, ())):
            chance = chance_of(rule)
            taken = weight * chance if chance is not None else 0.0
            if first_time:
                self._order.append((depth, chain, index))
            before = self._shares.get((chain, index)) or 0.0
            self._shares[chain, index] = None if chance is None else before + taken
            target = rule.target
            if target is None:
                continue
            if target.name == "RETURN" and chance == 1:
                return weight
            weight += self._enter(rule, target, taken, depth) - taken
        return weight

    def _enter(self, rule: rules.Rule, target: rules.Target, taken: float, depth: int) -> float:
        """What comes back of the packets that a rule has taken."""
        if target.name == "DNAT":
            self._end(rule, taken)
            return 0.0
        if target.name in _FINAL:
            return 0.0
        if target.name in self.chains and (taken or target.name not in self.shown):
            back = self.follow(target.name, taken, depth + 1)
            return 0.0 if target.goto else back
        return taken

    def _end(self, rule: rules.Rule, taken: float) -> None:
        if taken:
            counters = rule.counters or rules.Counters()
            address = rule.value("--to-destination") or ""
            self.endpoints.append(
                values.Endpoint(address, rule.chain, taken, counters.packets, counters.bytes)
            )

    def _tree_rule(self, depth: int, chain: str, index: int) -> values.TreeRule:
        rule = self.chains[chain][index]
        packets = (rule.counters or rules.Counters()).packets
        return values.TreeRule(depth, chain, rule.text, packets, self._shares[chain, index])


def chance_of(rule: rules.Rule) -> float | None:
    """What part of the packets that reach it a rule takes; None where that depends on them."""
    chance = 1.0
    for match in rule.matches:
        if match.module == "statistic":
            part = _part(match)
            if part is None:
                return None
            chance *= part
        elif not _takes_all(match):
            return None
    return chance


def _takes_all(match: rules.Match) -> bool:
    if match.module == "":
        return all(option.flag == "-p" for option in match.options)
    if match.module == "recent":
        return any(option.flag == "--set" and not option.negated for option in match.options)
    return match.module == "comment" or (match.module in _SILENT and not match.options)


def _part(match: rules.Match) -> float | None:
    for option in match.options:
        try:
            if option.flag == "--probability":
                return float(option.values[0])
            if option.flag == "--every":
                return 1 / int(option.values[0])
        except (ValueError, IndexError, ZeroDivisionError):
            return None
    return None
