"""Proxy ports: any that the kernel has free, or those of `--proxy-port-range`. US-69."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from labkit import errors

LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports from `first` to `last`, both included. A first port of 0 leaves it to the kernel."""

    first: int = 0
    last: int = 0

    @property
    def any(self) -> bool:
        return self.first == 0

    def __str__(self) -> str:
        return "any" if self.any else f"{self.first}-{self.last}"


def parse_port_range(text: str) -> PortRange:
    """Read `5000`, `40000-40010`, `40000+10` or nothing at all. Raises ValueError.

    >>> print(parse_port_range("40000+3"), parse_port_range(""))
    40000-40003 any
    """
    if not text:
        return PortRange()
    first_text, sign, rest = text.partition("-" if "-" in text else "+")
    try:
        first = int(first_text)
        last = int(rest) if sign else first
    except ValueError:
        raise _bad_range("it is not a number, FIRST-LAST, or FIRST+COUNT") from None
    if sign == "+":
        last += first
    if not 0 <= first <= last <= LAST_PORT:
        raise _bad_range(f"the ports have to rise, and end at {LAST_PORT}")
    return PortRange(first, last) if first else PortRange()


def _bad_range(why: str) -> ValueError:
    return ValueError(f"{why}: write 40000-41000")


class PortAllocator:
    """Hands out the ports of a range in random order; 0, the kernel's choice, without a range.

    Random, because a client that still knows the port of a Service that is gone should meet
    nobody, rather than another Service.
    """

    def __init__(
        self, allowed: PortRange, *, pick: Callable[[int], int] = random.randrange
    ) -> None:
        self._allowed = allowed
        self._pick = pick
        self._used: set[int] = set()

    def allocate(self) -> int:
        """Return a port that nobody has. Raises PortsExhausted when there is none left."""
        if self._allowed.any:
            return 0
        size = self._allowed.last - self._allowed.first + 1
        start = self._pick(size)
        for step in range(size):
            port = self._allowed.first + (start + step) % size
            if port not in self._used:
                self._used.add(port)
                return port
        raise PortsExhausted(
            f"all {size} ports of --proxy-port-range {self._allowed} are in use",
            hint="a wider range has room for more service ports",
        )

    def release(self, port: int) -> None:
        """Give a port back. One that was never handed out is nobody's loss."""
        self._used.discard(port)


class PortsExhausted(errors.LabkitError):
    """Every port of the range stands for a service port already."""

    id = "LK-AGENT-PORTS"
