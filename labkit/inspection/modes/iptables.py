"""iptables mode: KUBE-SERVICES and KUBE-NODEPORTS are the doors, trees of chains stand behind them.

    KUBE-SERVICES ──┬────────────────▶ KUBE-SVC-x ──by lot──▶ KUBE-SEP-y ──▶ DNAT to a pod
                    ├▶ KUBE-FW-x ────▶     │    a load balancer's source ranges
    KUBE-NODEPORTS ─┴▶ KUBE-EXT-x ───▶     │    from outside; KUBE-XLB-x before 1.24
                       └─▶ KUBE-SVL-x          only this node's own endpoints

A port without endpoints has no tree: a rule in the table filter refuses its packets. Which packets
get the node's address as their source (masquerade) is said by jumps to KUBE-MARK-MASQ, beside the
door or further down, depending on kube-proxy's age.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labkit.inspection.explain import phrases
from labkit.inspection.modes import conditions, values, walk
from labkit.model import rules

_DOORS = ("KUBE-SERVICES", "KUBE-NODEPORTS")
_REFUSALS = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS")
_TREES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-FW-", "KUBE-XLB-", "KUBE-EXT-", "KUBE-SEP-")
_KINDS = {
    "cluster IP": "clusterIP",
    "external IP": "externalIP",
    "loadbalancer IP": "load balancer",
}


def is_used(ruleset: rules.Ruleset) -> bool:
    return ruleset.chain("nat", "KUBE-SERVICES") is not None


def read_ports(ruleset: rules.Ruleset) -> tuple[values.PortRules, ...]:
    """Every port of every Service, in the order of the rules."""
    nat = ruleset.table("nat")
    chains = {chain.name: chain.rules for chain in nat.chains} if nat else {}
    doors: dict[str, list[tuple[rules.Rule, str]]] = {}
    for each, leads_to in _entries(chains):
        doors.setdefault(_port_name(each), []).append((each, leads_to))
    for each in _refusals(ruleset):
        doors.setdefault(_port_name(each), []).append((each, ""))
    return tuple(_read_port(name, found, chains) for name, found in doors.items())


def _entries(chains: walk.Chains) -> Iterator[tuple[rules.Rule, str]]:
    for name in _DOORS:
        for each in chains.get(name, ()):
            target = each.target
            if target and target.name.startswith(_TREES):
                yield each, target.name


def _refusals(ruleset: rules.Ruleset) -> Iterator[rules.Rule]:
    for name in _REFUSALS:
        for each in ruleset.rules("filter", name):
            if each.target and each.target.name in ("REJECT", "DROP") and "/" in _port_name(each):
                yield each


def _port_name(each: rules.Rule) -> str:
    """`default/app1:http cluster IP`: the port's name is the comment's first word."""
    return each.comment.split(" ", 1)[0]


def _read_port(
    name: str, found: Iterable[tuple[rules.Rule, str]], chains: walk.Chains
) -> values.PortRules:
    doors = tuple(_read_door(each, leads_to, chains) for each, leads_to in found)
    tree = tuple(_tree(doors, chains))
    return values.PortRules(name, "iptables", _affinity(tree), doors, tree)


def _tree(doors: Iterable[values.Door], chains: walk.Chains) -> Iterator[values.TreeRule]:
    """What is behind each door, from 100 % on; a chain that several lead to is told once."""
    shown = {"KUBE-MARK-MASQ", "KUBE-MARK-DROP"}
    for leads_to in dict.fromkeys(door.leads_to for door in doors if door.leads_to):
        walked = walk.Walk(chains, shown)
        walked.follow(leads_to)
        yield from walked.tree


def _read_door(each: rules.Rule, leads_to: str, chains: walk.Chains) -> values.Door:
    counters = each.counters or rules.Counters()
    endpoints = _endpoints(leads_to, chains) if leads_to else ()
    return values.Door(
        kind=_kind(each),
        address=phrases.address(each.value("-d") or ""),
        port=int(each.value("--dport") or 0),
        protocol=(each.value("-p") or "").upper(),
        chain=each.chain,
        leads_to=leads_to,
        packets=counters.packets,
        bytes=counters.bytes,
        text=each.text,
        when=_when(each, leads_to, chains),
        masquerade=_masquerade(each, leads_to, chains) if leads_to else "",
        endpoints=endpoints,
        refused="" if endpoints else _why_refused(each, leads_to),
    )


def _kind(each: rules.Rule) -> str:
    about = each.comment.partition(" ")[2]
    if about in _KINDS:
        return _KINDS[about]
    if each.value("-d") is None:
        return "nodePort"
    return "clusterIP" if each.chain == "KUBE-SERVICES" else "address from outside"


def _endpoints(leads_to: str, chains: walk.Chains) -> tuple[values.Endpoint, ...]:
    """A load balancer's source ranges are conditions; behind them is the tree that they guard."""
    walked = walk.Walk(chains)
    walked.follow(leads_to)
    if not walked.endpoints:
        for guarded in dict.fromkeys(name for _, name in _guards(leads_to, chains)):
            walked.follow(guarded)
    return tuple(walked.endpoints)


def _guards(leads_to: str, chains: walk.Chains) -> Iterator[tuple[rules.Rule, str]]:
    """The jumps of KUBE-FW that let only some sources in."""
    if not leads_to.startswith("KUBE-FW-"):
        return
    for each in chains.get(leads_to, ()):
        if each.target and each.target.name.startswith(_TREES) and walk.chance_of(each) is None:
            yield each, each.target.name


def _why_refused(each: rules.Rule, leads_to: str) -> str:
    if not leads_to:
        target = each.target.name if each.target else ""
        return f"no endpoints: {'refused' if target == 'REJECT' else 'dropped'} ({target})"
    if leads_to.startswith(("KUBE-XLB-", "KUBE-EXT-", "KUBE-SVL-")):
        return "no endpoint on this node: dropped"
    return "no endpoint behind it"


def _when(each: rules.Rule, leads_to: str, chains: walk.Chains) -> str:
    said = conditions.conditions_of(each)
    if _kind(each) == "nodePort":
        said = ""
    sources = [conditions.conditions_of(guard) for guard, _ in _guards(leads_to, chains)]
    return ", and ".join(part for part in (said, " or ".join(sources)) if part)


def _masquerade(each: rules.Rule, leads_to: str, chains: walk.Chains) -> str:
    """Which packets through this door leave with the node's own address; the door's, the tree's."""
    beside = [one for one in chains.get(each.chain, ()) if _same_door(one, each)]
    below = [
        one
        for name in _path(leads_to, chains)
        for one in chains.get(name, ())
        if one.value("-d") in (None, each.value("-d"))
    ]
    said = [conditions.conditions_of(one) for one in (*beside, *below) if _marks(one)]
    if "" in said:
        return "always"
    return "if it " + " or ".join(dict.fromkeys(said)) if said else "never"


def _same_door(one: rules.Rule, each: rules.Rule) -> bool:
    return all(one.value(flag) == each.value(flag) for flag in conditions.PLACE)


def _marks(one: rules.Rule) -> bool:
    return one.target is not None and one.target.name == "KUBE-MARK-MASQ"


def _path(leads_to: str, chains: walk.Chains) -> Iterator[str]:
    """The chains that every packet from outside passes, down to the choice of an endpoint."""
    seen = set[str]()
    while leads_to and leads_to not in seen and not leads_to.startswith("KUBE-SEP-"):
        seen.add(leads_to)
        yield leads_to
        guarded = [name for _, name in _guards(leads_to, chains)]
        leads_to = next(iter([*_always(leads_to, chains), *guarded]), "")


def _always(chain: str, chains: walk.Chains) -> Iterator[str]:
    for each in chains.get(chain, ()):
        if each.target and each.target.name.startswith(_TREES) and walk.chance_of(each) == 1:
            yield each.target.name


def _affinity(tree: Iterable[values.TreeRule]) -> int:
    """The seconds of `-m recent --rcheck`; 0 without session affinity."""
    for each in tree:
        if "--rcheck" in each.text:
            return int(rules.Rule("", each.text).value("--seconds") or 0)
    return 0
