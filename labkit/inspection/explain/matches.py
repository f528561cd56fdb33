"""What a packet can be asked for: built in, and by the extensions that every node uses.

An entry of a table is an extension (`-m NAME`); in it, one phrase for each of its options. The
rules of kube-proxy need no more than these.
"""

from __future__ import annotations

from labkit.inspection.explain import phrases
from labkit.inspection.explain.phrases import Phrase, Words
from labkit.model import rules

_PROTOCOLS = {
    "tcp": "TCP", "udp": "UDP", "sctp": "SCTP", "icmp": "ICMP", "ipv6-icmp": "ICMPv6",
    "icmpv6": "ICMPv6", "all": "of any protocol", "esp": "ESP (IPsec)", "ah": "AH (IPsec)",
    "udplite": "UDP-Lite", "dccp": "DCCP", "ipencap": "IP in IP", "gre": "GRE", "igmp": "IGMP",
}  # fmt: skip
_PLACES = {
    "LOCAL": "one of this machine's own addresses",
    "UNICAST": "an address of one machine",
    "BROADCAST": "a broadcast address",
    "MULTICAST": "a multicast address",
    "ANYCAST": "an anycast address",
    "BLACKHOLE": "an address routed into a black hole",
    "UNREACHABLE": "an unreachable address",
    "PROHIBIT": "a prohibited address",
    "UNSPEC": "no address",
}
_STATES = {
    "NEW": "a new connection",
    "ESTABLISHED": "a connection that has been answered",
    "RELATED": "a connection that another one has caused",
    "INVALID": "no connection that could be (invalid)",
    "UNTRACKED": "none that is tracked",
    "SNAT": "a connection whose source was rewritten",
    "DNAT": "a connection whose destination was rewritten",
}


def _protocol(text: str) -> str:
    return _PROTOCOLS.get(text, f"of protocol {text}")


def _kinds(names: dict[str, str], text: str) -> str:
    return phrases.either(",".join(names.get(name, name) for name in text.split(",")))


def _place(text: str) -> str:
    return _kinds(_PLACES, text)


def _states(text: str) -> str:
    return _kinds(_STATES, text)


def _chance(match: rules.Match) -> str:
    """`-m statistic`: what share of the packets that get as far as this rule it takes."""
    if chance := phrases.value(match, "--probability"):
        negated = any(one.negated for one in match.options)
        drawn = "is not drawn" if negated else "is drawn"
        return f"{drawn} by lot, with a chance of {phrases.percent(chance)}"
    return (
        f"is one of every {phrases.value(match, '--every') or '?'}, counted round "
        f"(from packet {phrases.value(match, '--packet') or '0'})"
    )


def _recently(match: rules.Match) -> str:
    """`-m recent` keeps lists of addresses; kube-proxy's session affinity is made of them."""
    who = "destination" if phrases.has(match, "--rdest") else "source"
    named = f"the list {phrases.value(match, '--name') or 'DEFAULT'}"
    if phrases.has(match, "--set"):
        return f"has its {who} address noted in {named} (this is always so)"
    deed = "was struck from" if phrases.has(match, "--remove") else "is in"
    since = phrases.value(match, "--seconds")
    hits = phrases.value(match, "--hitcount")
    return "".join(
        [
            "does not come" if any(one.negated for one in match.options) else "comes",
            f" again: its {who} address {deed} {named}",
            f", seen in the last {since} s" if since else "",
            f", at least {hits} times" if hits else "",
            "; that it came now is noted, too" if phrases.has(match, "--update") else "",
        ]
    )


_FROM = Phrase("come from port {}", phrases.ports)
_TO = Phrase("go to port {}", phrases.ports)
_TRANSPORT = {"--sport": _FROM, "--dport": _TO}
_ICMP = Phrase("be of ICMP type {}")

#: What is asked without an extension.
BUILT_IN = Words(
    "the packet's addresses, protocol and interfaces",
    {
        "-s": Phrase("come from {}", phrases.address),
        "-d": Phrase("go to {}", phrases.address),
        "-p": Phrase("be {}", _protocol),
        "-i": Phrase("arrive by {}", phrases.interface),
        "-o": Phrase("leave by {}", phrases.interface),
        "-f": Phrase("be a later fragment"),
    },
)

EVERYDAY = {
    "tcp": Words(
        "the TCP header",
        {
            **_TRANSPORT,
            "--syn": Phrase("open a connection (SYN)"),
            "--tcp-flags": Phrase("have, of the TCP flags asked for and set: {}"),
            "--tcp-option": Phrase("carry the TCP option {}"),
        },
    ),
    "udp": Words("the UDP header", _TRANSPORT),
    "udplite": Words("the UDP-Lite header", _TRANSPORT),
    "sctp": Words(
        "the SCTP header", {**_TRANSPORT, "--chunk-types": Phrase("hold the SCTP chunks {}")}
    ),
    "dccp": Words("the DCCP header", {**_TRANSPORT, "--dccp-types": Phrase("be of DCCP type {}")}),
    "icmp": Words("the ICMP header", {"--icmp-type": _ICMP}),
    "icmp6": Words("the ICMPv6 header", {"--icmpv6-type": _ICMP}),
    "comment": Words("nothing: a remark for people", {"--comment": Phrase('have the remark "{}"')}),
    "addrtype": Words(
        "what kind of address the routing table calls it",
        {
            "--src-type": Phrase("come from {}", _place),
            "--dst-type": Phrase("go to {}", _place),
            "--limit-iface-in": Phrase("be judged by the interface that it came in by"),
            "--limit-iface-out": Phrase("be judged by the interface that it leaves by"),
        },
    ),
    "conntrack": Words(
        "the connection that the packet belongs to",
        {
            "--ctstate": Phrase("belong to {}", _states),
            "--ctproto": Phrase("belong to a connection that is {}", _protocol),
            "--ctorigsrc": Phrase("belong to a connection opened from {}", phrases.address),
            "--ctorigdst": Phrase("belong to a connection opened to {}", phrases.address),
            "--ctreplsrc": Phrase("belong to a connection answered from {}", phrases.address),
            "--ctrepldst": Phrase("belong to a connection answered to {}", phrases.address),
            "--ctorigsrcport": Phrase("belong to a connection opened from port {}", phrases.ports),
            "--ctorigdstport": Phrase("belong to a connection opened to port {}", phrases.ports),
            "--ctreplsrcport": Phrase(
                "belong to a connection answered from port {}", phrases.ports
            ),
            "--ctrepldstport": Phrase("belong to a connection answered to port {}", phrases.ports),
            "--ctstatus": Phrase("belong to a connection whose status is {}", phrases.either),
            "--ctexpire": Phrase("belong to a connection that expires in {} s", phrases.ports),
            "--ctdir": Phrase("go in the direction {}"),
        },
    ),
    "state": Words("the connection's state", {"--state": Phrase("belong to {}", _states)}),
    "mark": Words(
        "a number that an earlier rule wrote onto the packet, inside this machine only",
        {"--mark": Phrase("carry the mark {}", phrases.mark)},
    ),
    "connmark": Words(
        "a number that an earlier rule wrote onto the connection",
        {"--mark": Phrase("belong to a connection with the mark {}", phrases.mark)},
    ),
    "physdev": Words(
        "the port of a bridge that the packet passes",
        {
            "--physdev-is-in": Phrase("come in by a port of a bridge"),
            "--physdev-is-out": Phrase("leave by a port of a bridge"),
            "--physdev-is-bridged": Phrase("stay within a bridge"),
            "--physdev-in": Phrase("come in by the bridge port {}"),
            "--physdev-out": Phrase("leave by the bridge port {}"),
        },
    ),
    "statistic": Words("chance, or a count", compose=_chance),
    "recent": Words("lists of addresses seen before", compose=_recently),
    "multiport": Words(
        "several ports at once",
        {
            "--sports": _FROM,
            "--dports": _TO,
            "--ports": Phrase("have as one of its ports {}", phrases.ports),
        },
    ),
}
