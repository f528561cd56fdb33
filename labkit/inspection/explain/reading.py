"""A rule as somebody typed it: a line of `iptables-save`, or a whole `iptables` command.

    iptables -t nat -I PREROUTING 1 -p tcp --dport 80 --jump REDIRECT --to-ports 8080

Typed rules use long names (`--jump`), leave out `-m tcp` after `-p tcp`, and quote for the shell.
They are brought into the form that `iptables-save` writes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labkit import errors
from labkit.model import rules

_COMMANDS = frozenset(
    f"{family}{variant}"
    for family in ("iptables", "ip6tables")
    for variant in ("", "-nft", "-legacy")
)
_ADDING = ("-A", "-I", "-D", "-C", "-R", "--append", "--insert", "--delete", "--check", "--replace")
_SHORT = {
    "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--protocol": "-p",
    "--proto": "-p", "--in-interface": "-i", "--out-interface": "-o", "--fragment": "-f",
    "--match": "-m", "--jump": "-j", "--goto": "-g", "--destination-port": "--dport",
    "--source-port": "--sport", "--destination-ports": "--dports", "--source-ports": "--sports",
}  # fmt: skip
#: What stands in a command besides the rule, and how many words follow.
_BESIDE = {"-w": 0, "--wait": 0, "-v": 0, "-n": 0, "-4": 0, "-6": 0, "-W": 1, "-c": 2}
_BUILT_IN = frozenset({"-s", "-d", "-i", "-o", "-p", "-f", "-m", "-j", "-g"})
_COUNTERS = re.compile(r"^\s*\[(\d+):(\d+)\]\s*")


@dataclass(frozen=True, slots=True)
class TypedRule:
    """A rule, and the table that was named; empty where none was."""

    table: str
    rule: rules.Rule


def parse_typed(text: str) -> TypedRule:
    """Read one rule. Raises RuleSyntaxError."""
    counted = _COUNTERS.match(text)
    words = _words(text[counted.end() :] if counted else text)
    if words and words[0] == "sudo":
        words = words[1:]
    if words and words[0].rpartition("/")[2] in _COMMANDS:
        words = words[1:]
    table, words = _take_table(words)
    chain, words = _take_chain(words)
    spec = " ".join(_in_full(_shortened(words)))
    counters = rules.Counters(int(counted[1]), int(counted[2])) if counted else None
    return TypedRule(table, rules.Rule(chain, spec, counters))


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text.strip())
    except ValueError as error:
        raise errors.RuleSyntaxError(f"a quote is not closed: {text.strip()}", line=1) from error
    if not any(word[:1] == "-" for word in words):
        raise errors.RuleSyntaxError(
            f"no rule: {text.strip() or 'nothing'} (a rule looks like "
            "`-A INPUT -p tcp --dport 22 -j ACCEPT`)",
            line=1,
        )
    return words


def _take_table(words: list[str]) -> tuple[str, list[str]]:
    for place, word in enumerate(words[:-1]):
        if word in ("-t", "--table"):
            return words[place + 1], words[:place] + words[place + 2 :]
    return "", words


def _take_chain(words: list[str]) -> tuple[str, list[str]]:
    """The chain after -A; none where the text is only conditions and a target."""
    for place, word in enumerate(words[:-1]):
        if word in _ADDING:
            rest = words[place + 2 :]
            numbered = bool(rest) and rest[0].isdigit()
            return words[place + 1], words[:place] + rest[numbered:]
    return "", words


def _shortened(words: Iterable[str]) -> Iterator[str]:
    skip, after = 0, ""
    for word in words:
        if after == "--comment":
            yield word
        elif skip:
            skip -= 1
        elif word in _BESIDE:
            skip = _BESIDE[word]
        else:
            yield _SHORT.get(word, word)
        after = word


def _in_full(words: Iterable[str]) -> Iterator[str]:
    """Quote what has to be, and name the extension that `-p tcp --dport 80` leaves out."""
    module, protocol, after, negation, jumped = "", "", "", "", False
    for word in words:
        if word == "!":
            negation = "! "
            continue
        is_flag = (
            len(word) > 1 and word[0] == "-" and not word[1].isdigit() and after != "--comment"
        )
        if is_flag and not jumped and not module and word not in _BUILT_IN and protocol:
            module = "icmp6" if protocol in ("ipv6-icmp", "icmpv6") else protocol
            yield f"-m {module}"
        jumped = jumped or word in ("-j", "-g")
        module = word if after == "-m" else module
        protocol = word.lower() if after == "-p" else protocol
        yield negation + (word if is_flag or _plain(word) else rules.quote(word))
        negation, after = "", word


def _plain(word: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9_.:/,+%\[\]*-]+", word))
