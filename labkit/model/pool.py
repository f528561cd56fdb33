"""A pool of addresses, from the first to the last: `192.168.56.200-192.168.56.239`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network


@dataclass(frozen=True, slots=True)
class Pool:
    """Both ends belong to it."""

    first: IPv4Address
    last: IPv4Address

    @property
    def ends(self) -> tuple[IPv4Address, IPv4Address]:
        return self.first, self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last

    def __iter__(self) -> Iterator[IPv4Address]:
        for number in range(int(self.first), int(self.last) + 1):
            yield IPv4Address(number)


def parse_pool(text: str) -> Pool:
    """Read `FIRST-LAST`, or a network, all of it. Raises ValueError.

    >>> str(parse_pool("192.168.56.200-192.168.56.239"))
    '192.168.56.200-192.168.56.239'
    >>> str(parse_pool("10.0.0.0/30"))
    '10.0.0.0-10.0.0.3'
    """
    if "/" in text:
        network = IPv4Network(text)
        return Pool(network[0], network[-1])
    first, _, last = text.partition("-")
    pool = Pool(IPv4Address(first), IPv4Address(last or first))
    if pool.first > pool.last:
        raise ValueError(f"{text!r} ends before it begins")
    return pool
