"""Why a rule did not take a packet: the condition that said no, beside what the packet is.

A rule takes a packet when all its conditions hold, so one that does not is reason enough, and the
first of them is the one that netfilter stopped at.
"""

from __future__ import annotations

from labkit.inspection.predict import packets


def explain_refusal(condition: str, packet: packets.Packet) -> str:
    """The condition, as it stands in the rule, and the fact about the packet that it asked for.

    >>> from ipaddress import IPv4Address
    >>> sender, asked = IPv4Address("10.244.1.2"), IPv4Address("10.96.202.114")
    >>> explain_refusal("-d 10.96.0.1/32", packets.Packet("tcp", sender, asked, 80))
    '-d 10.96.0.1/32: the packet goes to 10.96.202.114'
    """
    flags = [word for word in condition.split() if word.startswith("-") and word != "-m"]
    fact = _fact(flags[0], packet) if flags else ""
    return f"{condition}: {fact}" if fact else condition


def _fact(flag: str, packet: packets.Packet) -> str:  # noqa: C901 - a table, and nothing else
    match flag:
        case "-d" | "--dst-type":
            return f"the packet goes to {packet.destination}"
        case "-s" | "--src-type":
            return f"the packet comes from {packet.source}"
        case "-p":
            return f"the packet is {packet.protocol}"
        case "--dport" | "--dports":
            return f"the packet goes to port {packet.port}"
        case "--sport" | "--sports":
            return f"the packet comes from port {packet.source_port}"
        case "-i" | "--physdev-is-in":
            return _by("arrives", packet.arrives_by)
        case "-o":
            return _by("leaves", packet.leaves_by)
        case "--mark":
            return f"the packet's mark is {packet.mark:#x}"
        case "--ctstate" | "--state":
            return f"the connection is {','.join(sorted(packet.states))}"
        case "--tcp-flags":
            return "the first packet of a connection has SYN alone"
        case "--rcheck" | "--update":
            return "the client comes for the first time"
        case _:
            return ""


def _by(how: str, interface: str) -> str:
    if interface == packets.UNREAD:
        return f"the packet {how} by an interface that nobody has read"
    return f"the packet {how} by {interface or 'no interface'}"
