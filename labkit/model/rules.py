"""A netfilter rule as a value, and how its one line of text is taken apart.

    -A KUBE-PORTALS-HOST -d 10.96.20.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination ...
       chain             └──────────────── matches ───────────────┘ └──────── target ───────────┘

A packet walks through a chain from the top. A rule whose matches all hold sends it to the rule's
target: a verdict (ACCEPT), a rewriting (DNAT, REDIRECT), or another chain that it walks through
next. A rule *is* its text, exactly as `iptables-save` writes it: two rules are the same when their
texts are, and a rule that somebody else wrote survives us to the letter. The structure (`matches`,
`target`) is read from the text when somebody asks for it.

Whole sets of rules are read and written by `ruletext`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

#: `iptables-save` puts a string in quotes unless it consists of these alone.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
#: One word: quoted with backslash escapes, or a run without spaces.
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_ESCAPED = re.compile(r"\\(.)")
#: The matches that every packet can be asked for, without an extension.
_BUILT_IN = frozenset({"-s", "-d", "-i", "-o", "-p", "-f"})


@dataclass(frozen=True, slots=True)
class Counters:
    """How many packets, and bytes, a rule or a chain's policy has seen."""

    packets: int = 0
    bytes: int = 0

    def __str__(self) -> str:
        return f"[{self.packets}:{self.bytes}]"


@dataclass(frozen=True, slots=True)
class Option:
    """One flag and what follows it: `--dport 80`, `! --physdev-is-in`."""

    flag: str
    values: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """What a packet must be like. `module` is the extension (`-m tcp`), empty for -s, -d, -p ..."""

    module: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What happens to a packet that matched: a built-in target or a chain's name."""

    name: str
    options: tuple[Option, ...] = ()
    goto: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its chain and, in `spec`, everything that follows `-A CHAIN`.

    >>> rule = Rule("INPUT", '-p tcp -m comment --comment "web server" -m tcp --dport 80 -j ACCEPT')
    >>> rule.value("--dport"), rule.comment, rule.target
    ('80', 'web server', Target(name='ACCEPT', options=(), goto=False))
    """

    chain: str
    spec: str
    counters: Counters | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """As `iptables-save` writes it; of a rule that somebody has put nowhere yet, the spec."""
        return f"-A {self.chain} {self.spec}".rstrip() if self.chain else self.spec

    @property
    def options(self) -> tuple[Option, ...]:
        """The flags in the order of the text, `-m` and `-j` among them."""
        return tuple(_options(_WORD.findall(self.spec)))

    @property
    def matches(self) -> tuple[Match, ...]:
        return tuple(_matches(self.options))

    @property
    def target(self) -> Target | None:
        """None for a rule that only counts."""
        options = self.options
        for place, option in enumerate(options):
            if option.flag in ("-j", "-g"):
                name = " ".join(option.values)
                return Target(name, options[place + 1 :], goto=option.flag == "-g")
        return None

    @property
    def comment(self) -> str:
        return self.value("--comment") or ""

    def value(self, flag: str) -> str | None:
        """What stands after `flag`; None when the rule does not have it, or has it negated."""
        for option in self.options:
            if option.flag == flag and not option.negated:
                return " ".join(option.values)
        return None


@dataclass(frozen=True, slots=True)
class Chain:
    """A list of rules. A built-in chain hangs on a hook and has a policy; others have none."""

    name: str
    policy: str | None = None
    counters: Counters = Counters()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """`nat` rewrites addresses, `filter` lets through or drops."""

    name: str
    chains: tuple[Chain, ...] = ()

    def chain(self, name: str) -> Chain | None:
        return next((chain for chain in self.chains if chain.name == name), None)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything that one `iptables-save` printed."""

    tables: tuple[Table, ...] = ()

    def table(self, name: str) -> Table | None:
        return next((table for table in self.tables if table.name == name), None)

    def chain(self, table: str, name: str) -> Chain | None:
        found = self.table(table)
        return found.chain(name) if found else None

    def rules(self, table: str, chain: str) -> tuple[Rule, ...]:
        """The rules of a chain; none when there is no such chain."""
        found = self.chain(table, chain)
        return found.rules if found else ()


def split(spec: str) -> list[str]:
    """The words of a rule's text, without quotes and escapes.

    >>> split('-m comment --comment "web server" ! -i lo')
    ['-m', 'comment', '--comment', 'web server', '!', '-i', 'lo']
    """
    return [bare or _ESCAPED.sub(r"\1", quoted) for quoted, bare in _WORD.findall(spec)]


def quote(text: str) -> str:
    """Write a string as `iptables-save` does: in quotes when it holds anything but word letters.

    >>> print(quote("plain"), quote("default/app1"))
    plain "default/app1"
    """
    if _PLAIN.fullmatch(text):
        return text
    return '"' + re.sub(r"([\"\\'])", r"\\\1", text) + '"'


def _options(words: Iterable[tuple[str, str]]) -> Iterator[Option]:
    """Group (quoted, bare) words by flag. A `!` belongs to the flag after it.

    What stands in quotes, or where a comment has to, is never a flag, whatever it looks like.
    """
    flag, values, negated, next_negated = "", list[str](), False, False
    for quoted, bare in words:
        if flag == "--comment" and not values:
            values.append(bare or _ESCAPED.sub(r"\1", quoted))
        elif bare == "!":
            next_negated = True
        elif _is_flag(bare):
            if flag:
                yield Option(flag, tuple(values), negated)
            flag, values, negated, next_negated = bare, [], next_negated, False
        else:
            values.append(bare or _ESCAPED.sub(r"\1", quoted))
    if flag:
        yield Option(flag, tuple(values), negated)


def _is_flag(word: str) -> bool:
    """`-1` is a number."""
    return len(word) > 1 and word[0] == "-" and not word[1].isdigit()


def _matches(options: Iterable[Option]) -> Iterator[Match]:
    """Group options by `-m`; one that no extension was named for is a match of its own."""
    module, held = "", list[Option]()
    for option in options:
        if option.flag in ("-j", "-g"):
            break
        if option.flag in _BUILT_IN:
            yield Match("", (option,))
        elif option.flag == "-m":
            if module:
                yield Match(module, tuple(held))
            module, held = " ".join(option.values), []
        elif module:
            held.append(option)
        else:
            yield Match("", (option,))
    if module:
        yield Match(module, tuple(held))
