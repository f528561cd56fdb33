"""The text of `iptables-save`, read into a Ruleset and written again.

    *nat                                        a table begins
    :PREROUTING ACCEPT [0:0]                    a built-in chain, its policy, its counters
    :KUBE-PORTALS-HOST - [0:0]                  a chain that somebody made has no policy
    [3:180] -A KUBE-PORTALS-HOST -d ... -j ...  a rule; the counters are there with `-c`
    COMMIT                                      the table ends

Reading is strict: text that is not of this form raises RuleSyntaxError with its line. What is
read is kept to the letter, so that rules of other programs survive a round trip; only comment
lines, and spaces to excess, are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from labkit import errors
from labkit.model import rules

_CHAIN = re.compile(r":(?P<name>\S+) (?P<policy>\S+) \[(?P<packets>\d+):(?P<bytes>\d+)\]")
_RULE = re.compile(r"(?:\[(?P<packets>\d+):(?P<bytes>\d+)\] )?-A (?P<chain>\S+)(?: (?P<spec>.*))?")
_SPACES = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


def parse_ruleset(text: str) -> rules.Ruleset:
    """Read what `iptables-save`, with or without `-c`, printed. Raises RuleSyntaxError."""
    tables: list[rules.Table] = []
    builder: _TableBuilder | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("*"):
            _expect(builder is None, f"{line} begins before the table above has ended", number)
            builder = _TableBuilder(line[1:].strip())
        elif builder is None:
            raise errors.RuleSyntaxError(f"outside of any table: {line}", line=number)
        elif line.strip() == "COMMIT":
            tables.append(builder.build())
            builder = None
        else:
            builder.add(line, number)
    if builder is not None:
        raise errors.RuleSyntaxError(
            f"table {builder.name} has no COMMIT", line=text.count("\n") + 1
        )
    return rules.Ruleset(tuple(tables))


def render_ruleset(ruleset: rules.Ruleset, *, counters: bool = False) -> str:
    """Write the text that `parse_ruleset` reads; with `counters`, as `iptables-save -c` does."""
    return "".join(
        f"{line}\n" for table in ruleset.tables for line in _table_lines(table, counters=counters)
    )


def _table_lines(table: rules.Table, *, counters: bool) -> Iterator[str]:
    yield f"*{table.name}"
    for chain in table.chains:
        yield f":{chain.name} {chain.policy or '-'} {chain.counters}"
    for chain in table.chains:
        for rule in chain.rules:
            yield f"{rule.counters or rules.Counters()} {rule.text}" if counters else rule.text
    yield "COMMIT"


class _TableBuilder:
    """Collects the chains and rules of one table; rules may come in any order of chains."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._chains: dict[str, rules.Chain] = {}
        self._rules: dict[str, list[rules.Rule]] = {}

    def add(self, line: str, number: int) -> None:
        if found := _RULE.fullmatch(line):
            self._add_rule(found, number)
        elif found := _CHAIN.fullmatch(line.rstrip()):
            self._add_chain(found)
        else:
            raise errors.RuleSyntaxError(f"neither a chain nor a rule: {line}", line=number)

    def build(self) -> rules.Table:
        return rules.Table(
            self.name,
            tuple(
                rules.Chain(chain.name, chain.policy, chain.counters, tuple(self._rules[name]))
                for name, chain in self._chains.items()
            ),
        )

    def _add_chain(self, found: re.Match[str]) -> None:
        policy = None if found["policy"] == "-" else found["policy"]
        counters = rules.Counters(int(found["packets"]), int(found["bytes"]))
        self._chains[found["name"]] = rules.Chain(found["name"], policy, counters)
        self._rules.setdefault(found["name"], [])

    def _add_rule(self, found: re.Match[str], number: int) -> None:
        chain = found["chain"]
        _expect(chain in self._chains, f"a rule for chain {chain}, which is not declared", number)
        counters = None
        if found["packets"] is not None:
            counters = rules.Counters(int(found["packets"]), int(found["bytes"]))
        self._rules[chain].append(rules.Rule(chain, _tidy(found["spec"] or ""), counters))


def _tidy(spec: str) -> str:
    """One space between words. Some versions of iptables print two, in `physdev  ! --...`."""
    if "  " not in spec:
        return spec.strip()
    return _SPACES.sub(lambda found: found[1] or " ", spec).strip()


def _expect(condition: bool, message: str, number: int) -> None:  # noqa: FBT001
    if not condition:
        raise errors.RuleSyntaxError(message, line=number)
