"""Which addresses are the node's own, read from the kernel's table of routes.

`/proc/net/fib_trie` draws the table as a tree. An address and, below it, what it is:

         |-- 192.168.56.11
            /32 host LOCAL
"""

from __future__ import annotations

import ipaddress

from labkit.model import proxying

FIB_TRIE = "/proc/net/fib_trie"


def parse_fib_trie(text: str) -> frozenset[proxying.IPAddress]:
    """The IPv4 addresses that the kernel takes for its own."""
    local: set[proxying.IPAddress] = set()
    address = ""
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == "|--":
            address = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            local.add(ipaddress.ip_address(address))
    return frozenset(local)


def read_local() -> frozenset[proxying.IPAddress]:
    with open(FIB_TRIE, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs a node memory
        return parse_fib_trie(file.read())
