"""Which packets the kernel is to tell of. Pure.

Of a TCP connection the first packet each way says it all: where the connection leads is decided
with its SYN, and the rest follows without being asked again. So the rules match one SYN and one
SYN,ACK of the request, and those of what a proxy opens to the Service's endpoints meanwhile;
whose they are, the proxy's journal says afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from labkit.inspection.probe import shot
from labkit.model import proxying

#: Ports that no kernel gives away by itself (from 32768 up), and no node ports (30000-32767).
SOURCE_PORTS = range(20000, 30000)
#: Seconds after which the rules are gone, whatever became of us.
LASTS_S = 30
#: More endpoints than that are not armed for: three rules each are written on every node.
MOST_ENDPOINTS = 200


def plan_rules(
    planned: shot.Shot,
    endpoints: Sequence[proxying.Endpoint],
    proxy_ports: Iterable[int],
) -> tuple[str, ...]:
    """The rules for one node's table raw, without their mark."""
    return tuple(_rules(planned, endpoints[:MOST_ENDPOINTS], sorted(set(proxy_ports))))


def _rules(
    planned: shot.Shot, endpoints: Sequence[proxying.Endpoint], proxy_ports: Sequence[int]
) -> Iterator[str]:
    protocol = planned.protocol.lower()
    first, answer = ("--syn", "--tcp-flags SYN,ACK SYN,ACK") if protocol == "tcp" else ("", "")
    own, port, address = planned.source_port, planned.port, planned.address
    for chain in ("PREROUTING", "OUTPUT"):
        yield _rule(chain, protocol, f"-d {address}/32", own, port, first)
        for one in endpoints:
            yield _rule(chain, protocol, f"-d {one.ip}/32", 0, one.port, first)
    for number in proxy_ports:
        yield _rule("OUTPUT", protocol, "", number, own, answer)
    yield _rule("PREROUTING", protocol, f"-s {address}/32", port, own, answer)
    for one in endpoints:
        yield _rule("PREROUTING", protocol, f"-s {one.ip}/32", one.port, 0, answer)


def _rule(chain: str, protocol: str, address: str, source_port: int, port: int, flags: str) -> str:
    parts = [
        f"-A {chain}",
        address,
        f"-p {protocol} -m {protocol}",
        f"--sport {source_port}" if source_port else "",
        f"--dport {port}" if port else "",
        flags,
        "-j TRACE",
    ]
    return " ".join(part for part in parts if part)
