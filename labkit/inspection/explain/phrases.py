"""How a condition is worded: as what the packet does, so that a rule becomes a sentence.

    -d 10.96.20.1/32        "a packet that goes to 10.96.20.1"
    ! -d 10.96.20.1/32      "a packet that does not go to 10.96.20.1"

A phrase is written once, with its verb in front in the plain form (`go to {}`); both sentences are
made from it. `say` words the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labkit.model import rules

_IRREGULAR = {"be": ("is", "is not"), "have": ("has", "does not have")}
#: The mask of a mark of which every bit counts.
ALL_BITS = 0xFFFFFFFF
_SIBILANT = ("o", "s", "sh", "ch", "x")


@dataclass(frozen=True, slots=True)
class Phrase:
    """The words of one option. `plain` begins with a verb; `{}` stands for the value."""

    plain: str
    say: Callable[[str], str] = str

    def words(self, option: rules.Option) -> str:
        verb, _, rest = self.plain.partition(" ")
        value = self.say(" ".join(option.values))
        return f"{_conjugate(verb, negated=option.negated)} {rest}".rstrip().replace("{}", value)


@dataclass(frozen=True, slots=True)
class Words:
    """An extension: what it looks at, and the words of its options.

    Where options only mean something together, `compose` words the whole match instead.
    """

    about: str
    options: Mapping[str, Phrase] = field(default_factory=dict)
    compose: Callable[[rules.Match], str] | None = None


def _conjugate(verb: str, *, negated: bool) -> str:
    does, does_not = _IRREGULAR.get(verb, (_third_person(verb), f"does not {verb}"))
    return does_not if negated else does


def _third_person(verb: str) -> str:
    if verb.endswith("y") and verb[-2] not in "aeo":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(_SIBILANT) else f"{verb}s"


def value(match: rules.Match, flag: str) -> str:
    """What stands after `flag`; empty when the match does not have it."""
    return next((" ".join(one.values) for one in match.options if one.flag == flag), "")


def has(match: rules.Match, flag: str) -> bool:
    return any(one.flag == flag for one in match.options)


def either(text: str) -> str:
    """A list with commas as a choice.

    >>> either("RELATED,ESTABLISHED"), either("a,b,c")
    ('RELATED or ESTABLISHED', 'a, b or c')
    """
    *first, last = text.split(",")
    return f"{', '.join(first)} or {last}" if first else last


def address(text: str) -> str:
    """A single address without its prefix length; any other one as a network."""
    host, _, length = text.partition("/")
    whole = "128" if ":" in host else "32"
    return host if length in ("", whole) else f"an address of {text}"


def ports(text: str) -> str:
    """A port, a range, or a list of both.

    >>> ports("30062"), ports("30000:32767"), ports("80,443")
    ('30062', '30000 to 32767', '80 or 443')
    """
    return either(",".join(_span(part) for part in text.split(",")))


def _span(part: str) -> str:
    low, colon, high = part.partition(":")
    return f"{low or '0'} to {high or 'the highest'}" if colon else part


def mark(text: str) -> str:
    """A mark, and which of its bits count. kube-proxy's own two are named."""
    name = {"0x4000/0x4000": ", kube-proxy's: masquerade", "0x8000/0x8000": ", kube-proxy's: drop"}
    number, slash, mask = text.partition("/")
    if not slash or number_of(mask) == ALL_BITS:
        return number
    return f"{number} (of the bits {mask}{name.get(text, '')})"


def percent(text: str) -> str:
    """A probability for people; as it is, where it is no number.

    >>> percent("0.33333333349"), percent("0.50000000000")
    ('33.3%', '50%')
    """
    try:
        return f"{float(text):.1%}".replace(".0%", "%")
    except ValueError:
        return text


def number_of(text: str) -> int:
    """A number as C writes it, `0x4000`; -1 for what is none."""
    try:
        return int(text, 0)
    except ValueError:
        return -1


def interface(text: str) -> str:
    """`+` at the end stands for whatever follows."""
    return f"an interface called {text[:-1]}..." if text.endswith("+") else f"interface {text}"
