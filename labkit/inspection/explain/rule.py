"""One rule in plain words: a clause for each condition, one for the outcome, a sentence of all.

-A KUBE-PORTALS-HOST -d 10.96.20.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination ...

A packet in KUBE-PORTALS-HOST that goes to 10.96.20.1, is TCP and goes to port 8080 gets
192.168.56.11:40193 as its destination ...
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.inspection import schema
from labkit.inspection.explain import chains, extensions, matches, phrases, targets
from labkit.model import rules

SCHEMA, VERSION = "rule-explanation", 1

_MATCHES = {"": matches.BUILT_IN, **extensions.RARER, **matches.EVERYDAY}


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition, or the outcome: its text, what it looks at, what it says of the packet.

    `known` is false where no table has words for it. A `remark` is no condition.
    """

    text: str
    about: str
    words: str
    known: bool = True
    remark: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class RuleExplanation(shown.Shown):
    """A rule as text, as the command that would make it, and in words."""

    table: str
    chain: str
    text: str
    command: str
    sentence: str
    conditions: tuple[Clause, ...]
    outcome: Clause

    @property
    def known(self) -> bool:
        """True when every part of the rule has words."""
        return all(clause.known for clause in (*self.conditions, self.outcome))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def document(self) -> document.Section:
        rows = [[clause.text, clause.words, clause.about] for clause in self.conditions]
        rows.append([self.outcome.text, self.outcome.words, self.outcome.about])
        return document.Section(
            self.sentence,
            (
                document.Table(("part", "the packet ...", "what is looked at"), rows),
                document.Code((self.text, self.command)),
            ),
        )


def explain_rule(
    rule: rules.Rule, *, table: str = "", chain_names: Collection[str] = ()
) -> RuleExplanation:
    """Put a rule into words. With `chain_names`, targets of those names are known as chains."""
    conditions = tuple(clause for match in rule.matches for clause in explain_match(match))
    outcome = explain_target(rule.target, chain_names=chain_names)
    return RuleExplanation(
        table,
        rule.chain,
        rule.text,
        render_command(rule, table=table),
        _sentence(rule.chain, conditions, outcome),
        conditions,
        outcome,
    )


def explain_match(match: rules.Match) -> tuple[Clause, ...]:
    """A clause for each option of a match; one for all where they only mean something together."""
    words = _MATCHES.get(match.module)
    if words is None:
        said = f"satisfies the extension {match.module}, which labkit has no words for"
        return (Clause(match_text(match), "unknown", said, known=False),)
    if words.compose:
        return (Clause(match_text(match), words.about, words.compose(match)),)
    if not match.options:
        return (Clause(f"-m {match.module}", words.about, f"has {words.about}"),)
    return tuple(explain_option(match.module, option) for option in match.options)


def explain_option(module: str, option: rules.Option) -> Clause:
    """One option of the extension `module` (empty: built in)."""
    words = _MATCHES.get(module) or phrases.Words("unknown")
    text = match_text(rules.Match(module, (option,)))
    phrase = words.options.get(option.flag)
    if phrase is None:
        if words.compose:
            return Clause(text, words.about, words.compose(rules.Match(module, (option,))))
        said = f"satisfies {text}, which labkit has no words for"
        return Clause(text, words.about, said, known=False)
    return Clause(text, words.about, phrase.words(option), remark=option.flag == "--comment")


def explain_target(target: rules.Target | None, *, chain_names: Collection[str] = ()) -> Clause:
    """What the rule does. A name that is no target is a chain, which takes no options."""
    if target is None:
        return Clause("", "no target", "is only counted; the next rule is tried")
    text = f"{'-g' if target.goto else '-j'} {target.name}" + _options_text(target.options)
    found = targets.TARGETS.get(target.name)
    if found is not None and target.name not in chain_names:
        about = "decides" if found.ends else "goes on"
        return Clause(text, about, found.words(rules.Match(target.name, target.options)))
    if target.options:
        said = f"is handed to the target {target.name}, which labkit has no words for"
        return Clause(text, "unknown", said, known=False)
    return Clause(text, "another chain", _chain_words(target))


def render_command(rule: rules.Rule, *, table: str = "") -> str:
    """The command that would append this rule, as one types it in a shell."""
    where = ["-t", table] if table and table != "filter" else []
    words = [word if word == "!" else shlex.quote(word) for word in rules.split(rule.spec)]
    appended = ["-A", shlex.quote(rule.chain)] if rule.chain else []
    return " ".join(["iptables", *where, *appended, *words])


def match_text(match: rules.Match) -> str:
    """A match as `iptables-save` writes it."""
    module = f"-m {match.module}" if match.module else ""
    return f"{module}{_options_text(match.options)}".strip()


def _options_text(options: Iterable[rules.Option]) -> str:
    return "".join(
        " ".join(["", *(["!"] if one.negated else []), one.flag, *map(_bare, one.values)])
        for one in options
    )


def _bare(value: str) -> str:
    return rules.quote(value) if not value or " " in value or '"' in value else value


def _chain_words(target: rules.Target) -> str:
    known = chains.explain_chain(target.name)
    what = f" ({known})" if known else ""
    if target.goto:
        return f"goes on in {target.name}{what} and does not come back to this chain"
    return f"goes on in {target.name}{what}, and comes back here if nothing there decides"


def _sentence(chain: str, conditions: Iterable[Clause], outcome: Clause) -> str:
    asked = [clause.words for clause in conditions if not clause.remark]
    who = "A packet" if asked else "Every packet"
    where = f" in {chain}" if chain else ""
    that = f" that {_join(asked)}" if asked else ""
    remarks = ", ".join(_remarks(conditions))
    return f"{who}{where}{that} {outcome.words}.{f' Remark: {remarks}.' if remarks else ''}"


def _remarks(conditions: Iterable[Clause]) -> Iterator[str]:
    for clause in conditions:
        if clause.remark:
            yield clause.words.removeprefix("has the remark ").removesuffix(".")


def _join(asked: list[str]) -> str:
    *first, last = asked
    return f"{', '.join(first)} and {last}" if first else last
