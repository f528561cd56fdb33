"""How Go writes what a flag says: a duration, an address with its port, true or false. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TypeVar

from labkit.agent import ports

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")

Parsed = TypeVar("Parsed")


def parse_duration(text: str) -> float:
    """Seconds in a duration. Raises ValueError.

    >>> parse_duration("1m30s"), parse_duration("250ms"), parse_duration("0")
    (90.0, 0.25, 0.0)
    """
    if text == "0":
        return 0.0
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration: write 30s, 250ms or 1m30s")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def parse_positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if not seconds:
        raise ValueError("it must be longer than 0")
    return seconds


def parse_address(text: str) -> tuple[str, int]:
    """`0.0.0.0:10256` taken apart. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > ports.LAST_PORT:
        raise ValueError(f"{text!r} is not an address with a port: write 127.0.0.1:10249")
    return str(ipaddress.ip_address(host.strip("[]"))), int(port)


def parse_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def optional(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed | None]:
    """Read nothing as None, and what else there is by `parse`."""
    return lambda text: parse(text) if text else None
