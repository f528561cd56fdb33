"""Connection tracking: each connection as it was opened, and as it is answered.

    ipv4 2 tcp 6 86 TIME_WAIT src=10.244.1.2 dst=10.96.20.1 sport=40000 dport=8080
                              src=192.168.56.11 dst=10.244.1.2 sport=40193 dport=40000 [ASSURED] ...

The second line is what the node expects of an answer. Where it is not the first one turned round,
nat has rewritten the connection: the difference says how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from labkit.inspection.layers import rows

_PAIR = re.compile(r"\b(src|dst|sport|dport|id)=(\S+)")
_HEAD = re.compile(r"\s*(?:ipv[46]\s+\d+\s+)?(?P<protocol>[a-z]\S*)\s+\d+\s+\d+\s+(?P<rest>.*)")
_STATE = re.compile(r"[A-Z_]+\b")


def parse_conntrack(text: str) -> tuple[rows.FlowRow, ...]:
    """Read what `conntrack -L` or /proc/net/nf_conntrack says; other lines are left out."""
    return tuple(flow for line in text.splitlines() for flow in _parse_line(line))


def _parse_line(line: str) -> Iterator[rows.FlowRow]:
    head = _HEAD.match(line)
    pairs = _PAIR.findall(line)
    sources = [index for index, (key, _) in enumerate(pairs) if key == "src"]
    if not head or len(sources) != 2:
        return
    opened, answered = dict(pairs[: sources[1]]), dict(pairs[sources[1] :])
    state = _STATE.match(head["rest"])
    yield rows.FlowRow(
        protocol=head["protocol"],
        state="UNREPLIED" if "[UNREPLIED]" in line else state[0] if state else "",
        opened_from=_end(opened, "src", "sport"),
        opened_to=_end(opened, "dst", "dport"),
        answered_from=_end(answered, "src", "sport"),
        answered_to=_end(answered, "dst", "dport"),
        rewritten=_rewritten(opened, answered),
    )


def _end(pairs: dict[str, str], address: str, port: str) -> str:
    return f"{pairs[address]}:{pairs[port]}" if port in pairs else pairs[address]


def _rewritten(opened: dict[str, str], answered: dict[str, str]) -> str:
    """The destination is rewritten by DNAT or REDIRECT, the source by SNAT or MASQUERADE."""
    said = []
    if _end(opened, "dst", "dport") != _end(answered, "src", "sport"):
        said.append(f"destination to {_end(answered, 'src', 'sport')}")
    if _end(opened, "src", "sport") != _end(answered, "dst", "dport"):
        said.append(f"source to {_end(answered, 'dst', 'dport')}")
    return ", ".join(said)
