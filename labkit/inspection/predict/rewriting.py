"""What targets do to a packet: another destination, another source, a mark."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from labkit.inspection.predict import packets
from labkit.model import rules

NAT = frozenset({"DNAT", "REDIRECT", "SNAT", "MASQUERADE"})
#: They note, count or change something that no condition here asks for; the packet goes on.
PASSING = frozenset(
    {"LOG", "NFLOG", "TRACE", "NOTRACK", "CT", "CONNMARK", "TCPMSS", "TOS", "DSCP", "TTL"}
    | {"CHECKSUM", "AUDIT", "SET", "CLASSIFY"}
)
_ALL_BITS = 0xFFFFFFFF


def translate(
    target: rules.Target, packet: packets.Packet, machine: packets.Machine, hook: str
) -> packets.Packet:
    """The packet as nat leaves it, in the state that conntrack then gives its connection."""
    if target.name in ("DNAT", "REDIRECT"):
        address, port = _destination(target, packet, machine, hook)
        states = packet.states | {"DNAT"}
        return replace(packet, destination=address, port=port, states=states)
    text = _value(target, "--to-source").partition(":")[0].partition("-")[0]
    source = IPv4Address(text) if text else machine.route(packet.destination).address
    return replace(packet, source=source, states=packet.states | {"SNAT"})


def mark(target: rules.Target, packet: packets.Packet) -> packets.Packet:
    for option in target.options:
        value, _, mask = "".join(option.values).partition("/")
        number, bits = int(value, 0), int(mask or hex(_ALL_BITS), 0)
        new = {
            "--set-xmark": (packet.mark & ~bits) ^ number,
            "--set-mark": (packet.mark & ~bits) | number,
            "--and-mark": packet.mark & number,
            "--or-mark": packet.mark | number,
            "--xor-mark": packet.mark ^ number,
        }.get(option.flag, packet.mark)
        packet = replace(packet, mark=new & _ALL_BITS)
    return packet


def _destination(
    target: rules.Target, packet: packets.Packet, machine: packets.Machine, hook: str
) -> tuple[IPv4Address, int]:
    """Of a range, the first: which one it will be is the kernel's choice."""
    if target.name == "REDIRECT":
        port = _value(target, "--to-ports").partition("-")[0]
        return _own_address(packet, machine, hook), int(port or packet.port)
    address, _, port = _value(target, "--to-destination").partition(":")
    first = address.partition("-")[0]
    return (
        IPv4Address(first) if first else packet.destination,
        int(port.partition("-")[0] or packet.port),
    )


def _own_address(packet: packets.Packet, machine: packets.Machine, hook: str) -> IPv4Address:
    """REDIRECT: loopback for what the machine itself sends, else where the packet came in."""
    if hook == "OUTPUT":
        return IPv4Address("127.0.0.1")
    found = machine.interface(packet.arrives_by)
    return (found or machine.interfaces[0]).address


def _value(target: rules.Target, flag: str) -> str:
    return next((" ".join(one.values) for one in target.options if one.flag == flag), "")
