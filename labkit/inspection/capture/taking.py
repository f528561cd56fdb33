"""tcpdump on every node at once, for some seconds. It comes back as text, in base64."""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Sequence

from labkit import errors
from labkit.inspection import collect
from labkit.inspection.capture import pcap
from labkit.model import proxying

#: So much later than tcpdump ends, we give up on the connection.
MARGIN_S = 15.0


def take(
    machines: collect.Machines,
    nodes: Sequence[str],
    *,
    seconds: float,
    interface: str = "any",
    wanted: str = "",
) -> tuple[pcap.Packet, ...]:
    """All packets that the nodes saw meanwhile, in order. `wanted` is in tcpdump's own language.

    Raises CommandFailed, or LabkitError for a node without tcpdump.
    """
    script = plan_script(seconds, interface, wanted)
    found = machines.map(nodes, lambda node: _take(node, script, seconds))
    merged = [packet for packets in found.values() for packet in packets]
    return tuple(sorted(merged, key=lambda packet: packet.time_ns))


def plan_script(seconds: float, interface: str, wanted: str) -> str:
    """It ends by itself: also when nobody listens any more."""
    argv = ["tcpdump", "-Z", "root", "-n", "-U", "-i", interface, "-w", "-"]
    argv += [wanted] if wanted else []
    return f"timeout -s INT {seconds:g} {shlex.join(argv)} | base64 -w 0"


def plan_filter(
    ports: Sequence[proxying.ServicePort], endpoints: Sequence[proxying.Endpoint]
) -> str:
    """What belongs to a Service: its own addresses, its node ports, and its pods."""
    terms = list[str]()
    for port in ports:
        addresses = (port.cluster_ip, *port.external_ips, *port.ingress_ips)
        terms += [f"(host {address} and port {port.port})" for address in addresses]
        terms += [f"port {port.node_port}"] if port.node_port else []
    terms += [f"(host {one.ip} and port {one.port})" for one in endpoints]
    return " or ".join(dict.fromkeys(terms))


def _take(node: collect.Connection, script: str, seconds: float) -> tuple[pcap.Packet, ...]:
    command = node.run(("sh", "-c", script), check=False, timeout_s=seconds + MARGIN_S)
    try:
        content = base64.b64decode(command.stdout, validate=True)
    except binascii.Error:
        content = b""
    if not content:
        why = " ".join(command.stderr.split())
        raise errors.LabkitError(
            f"tcpdump said: {why or 'nothing'}",
            node=node.name,
            hint="install Debian's package tcpdump on the node; name an interface that it has",
        )
    return pcap.parse(node.name, content)
