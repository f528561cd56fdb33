"""Many rules in words: everything that one `iptables-save` printed, chain by chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.inspection import schema
from labkit.inspection.explain import chains, rule
from labkit.model import rules

SCHEMA, VERSION = "ruleset-explanation", 1


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """A rule with its counters; 0 where the text had none."""

    packets: int
    bytes: int
    explanation: rule.RuleExplanation


@dataclass(frozen=True, slots=True)
class ExplainedChain:
    """A chain and what it is for; `purpose` is empty where nobody told us."""

    table: str
    name: str
    policy: str
    purpose: str
    rules: tuple[ExplainedRule, ...]


@dataclass(frozen=True, slots=True, repr=False)
class RulesetExplanation(shown.Shown):
    """Each rule in words. `unknown` are the texts of those that have a part without words."""

    name: str
    chains: tuple[ExplainedChain, ...]
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def document(self) -> document.Section:
        count = sum(len(chain.rules) for chain in self.chains)
        blocks = tuple(_chain_section(chain) for chain in self.chains if chain.rules)
        notes = tuple(
            document.Text(document.bad(f"labkit has no words for all of: {text}"))
            for text in self.unknown
        )
        heading = f"{self.name}: {count} rules in {len(self.chains)} chains"
        return document.Section(heading, (*notes, *blocks))


def explain_ruleset(
    ruleset: rules.Ruleset, *, name: str = "rules", chain: str = ""
) -> RulesetExplanation:
    """Explain every rule, or those of one chain."""
    explained = tuple(one for table in ruleset.tables for one in _explain_table(table, only=chain))
    unknown = tuple(
        one.explanation.text
        for each in explained
        for one in each.rules
        if not one.explanation.known
    )
    return RulesetExplanation(name, explained, unknown)


def _explain_table(table: rules.Table, *, only: str) -> Iterator[ExplainedChain]:
    names = {each.name for each in table.chains}
    for chain in table.chains:
        if not only or chain.name == only:
            yield ExplainedChain(
                table.name,
                chain.name,
                chain.policy or "",
                chains.explain_chain(chain.name),
                tuple(_explain_rules(table.name, chain, names)),
            )


def _explain_rules(table: str, chain: rules.Chain, names: set[str]) -> Iterator[ExplainedRule]:
    for each in chain.rules:
        counters = each.counters or rules.Counters()
        told = rule.explain_rule(each, table=table, chain_names=names)
        yield ExplainedRule(counters.packets, counters.bytes, told)


def _chain_section(chain: ExplainedChain) -> document.Section:
    policy = f", policy {chain.policy}" if chain.policy else ""
    purpose = (document.Text(f"{chain.purpose}."),) if chain.purpose else ()
    rows: list[list[document.Cell]] = [
        [number, each.packets, each.explanation.text, each.explanation.sentence]
        for number, each in enumerate(chain.rules, start=1)
    ]
    table = document.Table(("rule", "packets", "text", "in words"), rows, long_last=True)
    return document.Section(f"{chain.table} {chain.name}{policy}", (*purpose, table))
