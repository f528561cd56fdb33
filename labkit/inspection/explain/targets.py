"""What can happen to a packet whose conditions all held.

Some targets decide (ACCEPT, DROP, DNAT): the packet leaves the table. Others only leave a trace
(MARK, LOG) and the next rule is tried. A name that is none of them is a chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labkit.inspection.explain import chains, phrases
from labkit.model import rules


@dataclass(frozen=True, slots=True)
class Outcome:
    """`ends` tells whether the packet's way through this table ends here."""

    words: Callable[[rules.Match], str]
    ends: bool = True


def _fixed(text: str) -> Callable[[rules.Match], str]:
    return lambda _: text


def _first(match: rules.Match) -> str:
    return next((" ".join(one.values) for one in match.options if one.values), "?")


def _valued(text: str) -> Callable[[rules.Match], str]:
    """`{}` stands for the first value."""
    return lambda match: text.replace("{}", _first(match))


def _reject(match: rules.Match) -> str:
    how = phrases.value(match, "--reject-with") or "icmp-port-unreachable"
    refused = how in ("icmp-port-unreachable", "icmp6-port-unreachable", "tcp-reset")
    felt = "the client sees its connection refused" if refused else "the client gets an error"
    return f"is dropped, and the sender is told by {how}: {felt}"


def _dnat(match: rules.Match) -> str:
    to = phrases.value(match, "--to-destination") or "a new destination"
    return f"gets {to} as its destination, and answers come back as if from the old one (DNAT)"


def _redirect(match: rules.Match) -> str:
    to = phrases.value(match, "--to-ports")
    port = f"port {to.replace('-', ' to ')} of" if to else ""
    return (
        f"is turned to {port} this machine itself, at the address it came in by (REDIRECT)".replace(
            "  ", " "
        )
    )


def _snat(match: rules.Match) -> str:
    return f"gets {phrases.value(match, '--to-source') or '?'} as its source (SNAT)"


def _masquerade(match: rules.Match) -> str:
    ports = phrases.value(match, "--to-ports")
    return (
        "gets this machine's own address as its source, so that the answer comes back here"
        + (f", with a port of {ports}" if ports else "")
        + (", with a port drawn at random" if _at_random(match) else "")
        + " (MASQUERADE)"
    )


def _at_random(match: rules.Match) -> bool:
    return phrases.has(match, "--random-fully") or phrases.has(match, "--random")


def _mark(match: rules.Match) -> str:
    return f"{_marking(match)} inside this machine (MARK); the next rule is tried"


def _marking(match: rules.Match) -> str:
    """`--set-xmark value/mask` clears the bits of the mask, then flips those of the value."""
    for option in match.options:
        number, slash, mask = " ".join(option.values).partition("/")
        match option.flag:
            case "--set-xmark" if slash and number == mask:
                return f"has the bits {number} of its mark set{chains.MARKS.get(number, '')}"
            case "--set-xmark" if slash and phrases.number_of(mask) == 0:
                return f"has the bits {number} of its mark flipped"
            case "--set-xmark" | "--set-mark":
                whole = not slash or phrases.number_of(mask) == phrases.ALL_BITS
                which = "" if whole else f" (of the bits {mask})"
                return f"is given the mark {number}{which}"
            case "--or-mark":
                return f"has the bits {number} of its mark set{chains.MARKS.get(number, '')}"
            case "--and-mark":
                return f"keeps only the bits {number} of its mark"
            case "--xor-mark":
                return f"has the bits {number} of its mark flipped"
    return "is given a mark"


def _connmark(match: rules.Match) -> str:
    if phrases.has(match, "--save-mark"):
        done = "has its mark kept with its connection"
    elif phrases.has(match, "--restore-mark"):
        done = "is given the mark kept with its connection"
    else:
        done = f"has the mark of its connection set to {_first(match)}"
    return f"{done} (CONNMARK); the next rule is tried"


def _log(match: rules.Match) -> str:
    prefix = phrases.value(match, "--log-prefix")
    note = f" with the words {prefix!r}" if prefix else ""
    return f"is noted in the kernel's log{note} (LOG); the next rule is tried"


def _ct(match: rules.Match) -> str:
    if phrases.has(match, "--notrack"):
        return "is not tracked: it belongs to no connection (CT)"
    said = ", ".join(f"{one.flag.lstrip('-')} {' '.join(one.values)}" for one in match.options)
    return f"has its tracking set up: {said} (CT); the next rule is tried"


def _set(match: rules.Match) -> str:
    verb = "taken out of" if phrases.has(match, "--del-set") else "put into"
    name = _first(match).split(" ")[0]
    return f"has its addresses {verb} the set {name} (SET); the next rule is tried"


TARGETS = {
    "ACCEPT": Outcome(_fixed("is let through; no later rule of this table is tried (ACCEPT)")),
    "DROP": Outcome(_fixed("is dropped without a word: the client waits in vain (DROP)")),
    "RETURN": Outcome(_fixed("goes back to the chain that it came from (RETURN)"), ends=False),
    "QUEUE": Outcome(_fixed("is handed to a program, which decides (QUEUE)")),
    "REJECT": Outcome(_reject),
    "DNAT": Outcome(_dnat),
    "SNAT": Outcome(_snat),
    "REDIRECT": Outcome(_redirect),
    "MASQUERADE": Outcome(_masquerade),
    "NETMAP": Outcome(_valued("has the network part of its address turned to {} (NETMAP)")),
    "TPROXY": Outcome(_valued("is handed to a local proxy's socket, port or address {} (TPROXY)")),
    "MARK": Outcome(_mark, ends=False),
    "CONNMARK": Outcome(_connmark, ends=False),
    "LOG": Outcome(_log, ends=False),
    "CT": Outcome(_ct, ends=False),
    "SET": Outcome(_set, ends=False),
    "NOTRACK": Outcome(_fixed("is not tracked: it belongs to no connection (NOTRACK)"), ends=False),
    "NFLOG": Outcome(_fixed("is copied to a program that logs (NFLOG); the next rule is tried"),
                     ends=False),
    "ULOG": Outcome(_fixed("is copied to a program that logs (ULOG); the next rule is tried"),
                    ends=False),
    "NFQUEUE": Outcome(_fixed("is handed to a program, which decides (NFQUEUE)")),
    "TRACE": Outcome(_fixed("is followed: the kernel tells each rule it meets from here on "
                            "(TRACE); the next rule is tried"), ends=False),
    "TEE": Outcome(_valued("is sent a second time, to {} (TEE); the next rule is tried"),
                   ends=False),
    "TCPMSS": Outcome(_fixed("has the largest segment that TCP asks for lowered, so that it fits "
                             "the way (TCPMSS); the next rule is tried"), ends=False),
    "TTL": Outcome(_valued("has its TTL changed by or to {} (TTL); the next rule is tried"),
                   ends=False),
    "HL": Outcome(_valued("has its hop limit changed by or to {} (HL); the next rule is tried"),
                  ends=False),
    "TOS": Outcome(_valued("gets the type of service {} (TOS); the next rule is tried"),
                   ends=False),
    "DSCP": Outcome(_valued("gets the class of service {} (DSCP); the next rule is tried"),
                    ends=False),
    "ECN": Outcome(_fixed("loses its signs of congestion (ECN); the next rule is tried"),
                   ends=False),
    "CLASSIFY": Outcome(_valued("is put into the traffic class {} (CLASSIFY); the next rule is "
                                "tried"), ends=False),
    "CHECKSUM": Outcome(_fixed("has its checksum computed (CHECKSUM); the next rule is tried"),
                        ends=False),
    "AUDIT": Outcome(_fixed("is noted in the audit log (AUDIT); the next rule is tried"),
                     ends=False),
    "SECMARK": Outcome(_valued("gets the security context {} (SECMARK); the next rule is tried"),
                       ends=False),
    "CONNSECMARK": Outcome(_fixed("has its security context kept with, or taken from, its "
                                  "connection (CONNSECMARK); the next rule is tried"), ends=False),
    "SYNPROXY": Outcome(_fixed("has its handshake answered by the kernel in the server's place "
                               "(SYNPROXY)")),
    "TCPOPTSTRIP": Outcome(_valued("loses the TCP options {} (TCPOPTSTRIP); the next rule is "
                                   "tried"), ends=False),
    "IDLETIMER": Outcome(_fixed("winds up a timer of idleness (IDLETIMER); the next rule is "
                                "tried"), ends=False),
}  # fmt: skip
