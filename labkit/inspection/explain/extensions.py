"""The rarer extensions: rates, owners, sets, times. Other programs' rules are made of these."""

from __future__ import annotations

from labkit.inspection.explain import phrases
from labkit.inspection.explain.phrases import Phrase, Words
from labkit.model import rules


def _rate(match: rules.Match) -> str:
    burst = phrases.value(match, "--limit-burst")
    return f"comes no faster than {phrases.value(match, '--limit') or '3/hour'}" + (
        f" (the first {burst} in any case)" if burst else ""
    )


def _rate_each(match: rules.Match) -> str:
    above = phrases.value(match, "--hashlimit-above")
    rate = above or phrases.value(match, "--hashlimit-upto") or phrases.value(match, "--hashlimit")
    each = phrases.value(match, "--hashlimit-mode")
    return (
        f"comes {'faster' if above else 'no faster'} than {rate}"
        + (f", counted for each {each}" if each else "")
        + f" (table {phrases.value(match, '--hashlimit-name')})"
    )


def _many(match: rules.Match) -> str:
    above = phrases.value(match, "--connlimit-above")
    limit = above or phrases.value(match, "--connlimit-upto")
    whom = "destination" if phrases.has(match, "--connlimit-daddr") else "source"
    mask = phrases.value(match, "--connlimit-mask")
    share = "" if mask in ("", "32", "128") else f", by networks of /{mask}"
    return (
        f"belongs to one of {'more than' if above else 'at most'} {limit} connections of its "
        f"{whom} address{share}"
    )


def _in_set(match: rules.Match) -> str:
    option = next((one for one in match.options if one.flag == "--match-set"), None)
    if option is None or len(option.values) < 2:
        return "is in a set that is not named"
    directions = option.values[1].replace("src", "source").replace("dst", "destination")
    return f"{'is not' if option.negated else 'is'} in the set {option.values[0]} by {directions}"


def _text(match: rules.Match) -> str:
    wanted = next((o for o in match.options if o.flag in ("--string", "--hex-string")), None)
    negated = bool(wanted and wanted.negated)
    sought = " ".join(wanted.values) if wanted else ""
    return f"{'does not hold' if negated else 'holds'} the text {sought!r}"


def _when(match: rules.Match) -> str:
    said = [f"{one.flag.lstrip('-')} {' '.join(one.values)}".strip() for one in match.options]
    return f"comes at a time of: {', '.join(said)}"


_SPAN = Phrase("have a length of {} bytes", phrases.ports)

RARER = {
    "limit": Words("how fast packets come, all together", compose=_rate),
    "hashlimit": Words("how fast packets come, counted apart", compose=_rate_each),
    "connlimit": Words("how many connections there are at once", compose=_many),
    "set": Words("a set of addresses or ports (ipset)", compose=_in_set),
    "string": Words("the packet's content", compose=_text),
    "time": Words("the clock", compose=_when),
    "iprange": Words(
        "ranges of addresses",
        {
            "--src-range": Phrase("come from one of {}"),
            "--dst-range": Phrase("go to one of {}"),
        },
    ),
    "owner": Words(
        "the process of this machine that sent it",
        {
            "--uid-owner": Phrase("be sent by user {}"),
            "--gid-owner": Phrase("be sent by group {}"),
            "--socket-exists": Phrase("have a socket here"),
            "--suppl-groups": Phrase("count further groups, too"),
        },
    ),
    "mac": Words("the link layer", {"--mac-source": Phrase("come from the interface {}")}),
    "length": Words("the packet's length", {"--length": _SPAN}),
    "ttl": Words(
        "how many routers it may still pass",
        {
            "--ttl-eq": Phrase("have a TTL of {}"),
            "--ttl-lt": Phrase("have a TTL below {}"),
            "--ttl-gt": Phrase("have a TTL above {}"),
        },
    ),
    "hl": Words(
        "how many routers it may still pass",
        {
            "--hl-eq": Phrase("have a hop limit of {}"),
            "--hl-lt": Phrase("have a hop limit below {}"),
            "--hl-gt": Phrase("have a hop limit above {}"),
        },
    ),
    "tos": Words("the type of service", {"--tos": Phrase("have the type of service {}")}),
    "dscp": Words(
        "the class of service",
        {
            "--dscp": Phrase("have the class of service {}"),
            "--dscp-class": Phrase("be of the class of service {}"),
        },
    ),
    "ecn": Words(
        "signs of congestion",
        {
            "--ecn-tcp-cwr": Phrase("have ECN's CWR bit set"),
            "--ecn-tcp-ece": Phrase("have ECN's ECE bit set"),
            "--ecn-ip-ect": Phrase("have ECN's codepoint {}"),
        },
    ),
    "pkttype": Words(
        "whom the link layer meant it for", {"--pkt-type": Phrase("be sent as {} on its link")}
    ),
    "tcpmss": Words(
        "the largest segment that TCP asks for",
        {"--mss": Phrase("ask for segments of {} bytes", phrases.ports)},
    ),
    "rpfilter": Words(
        "the way back",
        {
            "--loose": Phrase("count with any interface"),
            "--validmark": Phrase("have its mark used for the way back"),
            "--accept-local": Phrase("be allowed a local source address"),
            "--invert": Phrase("fail the test of the way back"),
        },
    ),
    "socket": Words(
        "open sockets of this machine",
        {
            "--transparent": Phrase("have a transparent socket here"),
            "--nowildcard": Phrase("count sockets of any address, too"),
            "--restore-skmark": Phrase("get its socket's mark"),
        },
    ),
    "cgroup": Words(
        "the control group of the process that sent it",
        {
            "--path": Phrase("be sent from the control group {}"),
            "--cgroup": Phrase("be sent with the class {}"),
        },
    ),
    "connbytes": Words(
        "how much a connection has carried",
        {
            "--connbytes": Phrase("belong to a connection that carried {}", phrases.ports),
            "--connbytes-mode": Phrase("be counted in {}"),
            "--connbytes-dir": Phrase("be counted in the direction {}"),
        },
    ),
    "connlabel": Words(
        "labels on the connection",
        {
            "--label": Phrase("belong to a connection with the label {}"),
            "--set": Phrase("get that label"),
        },
    ),
    "helper": Words(
        "which helper tracks the connection", {"--helper": Phrase("be tracked by the helper {}")}
    ),
    "policy": Words(
        "IPsec",
        {
            "--dir": Phrase("be judged by the IPsec policy for {}"),
            "--pol": Phrase("be treated by {}"),
            "--proto": Phrase("be protected by {}"),
            "--mode": Phrase("be protected in {} mode"),
            "--reqid": Phrase("have the IPsec request {}"),
            "--spi": Phrase("have the IPsec index {}"),
            "--tunnel-src": Phrase("come out of a tunnel from {}", phrases.address),
            "--tunnel-dst": Phrase("go into a tunnel to {}", phrases.address),
            "--strict": Phrase("have exactly this policy"),
            "--next": Phrase("have, further, this policy"),
        },
    ),
    "quota": Words("a budget of bytes", {"--quota": Phrase("fit into a budget of {} bytes")}),
    "bpf": Words("a small program", {"--bytecode": Phrase("satisfy the program {}"),
                                     "--object-pinned": Phrase("satisfy the program at {}")}),
    "u32": Words("any bytes of the packet", {"--u32": Phrase("satisfy the test of bytes {}")}),
    "devgroup": Words(
        "groups of interfaces",
        {
            "--src-group": Phrase("arrive by an interface of group {}"),
            "--dst-group": Phrase("leave by an interface of group {}"),
        },
    ),
    "cpu": Words("the processor", {"--cpu": Phrase("be handled by processor {}")}),
    "realm": Words("the routing realm", {"--realm": Phrase("be routed in realm {}")}),
    "nfacct": Words("a counter", {"--nfacct-name": Phrase("have been counted in {}")}),
    "ah": Words("IPsec's AH", {"--ahspi": Phrase("have the IPsec index {}", phrases.ports)}),
    "esp": Words("IPsec's ESP", {"--espspi": Phrase("have the IPsec index {}", phrases.ports)}),
    "ipvs": Words(
        "IPVS, the kernel's load balancer",
        {
            "--ipvs": Phrase("belong to IPVS"),
            "--vproto": Phrase("belong to a virtual service of protocol {}"),
            "--vaddr": Phrase("belong to the virtual address {}", phrases.address),
            "--vport": Phrase("belong to the virtual port {}"),
            "--vdir": Phrase("go in the direction {} of IPVS"),
            "--vmethod": Phrase("be forwarded by IPVS with {}"),
            "--vportctl": Phrase("belong to the controlling port {}"),
        },
    ),
}  # fmt: skip
