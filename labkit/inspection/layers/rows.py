"""What a line of each layer is made of. The names of the fields are the headings of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ChainRow:
    """A chain; `packets` are those of its rules together, and of its policy."""

    table: str
    chain: str
    policy: str
    rules: int
    packets: int
    purpose: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as text, as the command that would make it, and in words."""

    table: str
    chain: str
    packets: int
    bytes: int
    text: str
    command: str
    words: str


@dataclass(frozen=True, slots=True)
class SocketRow:
    """A listening socket and who holds it."""

    protocol: str
    address: str
    port: int
    owner: str


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A connection as the kernel tracks it: as it was opened, as it is answered."""

    protocol: str
    state: str
    opened_from: str
    opened_to: str
    answered_from: str
    answered_to: str
    rewritten: str


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """An established TCP connection of a process of the node."""

    local: str
    remote: str
    process: str


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """Where a Service's traffic ends. `share` is of new connections; `by` is a chain, or a pod."""

    service: str
    address: str
    share: str
    by: str
    packets: int


@dataclass(frozen=True, slots=True)
class FactRow:
    """One fact about the node."""

    fact: str
    value: str


Row: TypeAlias = ChainRow | RuleRow | SocketRow | FlowRow | ConnectionRow | EndpointRow | FactRow

#: The layers, by the name that one types, and what each row of it is.
LAYERS: dict[str, type[Row]] = {
    "chains": ChainRow,
    "rules": RuleRow,
    "conntrack": FlowRow,
    "sockets": SocketRow,
    "connections": ConnectionRow,
    "endpoints": EndpointRow,
    "node": FactRow,
}
