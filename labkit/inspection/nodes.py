"""A Service on one node: its rules in kube-proxy's chains, where they lead, and what is missing.

A rule says whose it is by its comment, `namespace/name:port`. The field that made it is found the
other way round: plan what kube-proxy would write for the Service as it is now, and see which line
of the plan this is. A rule that no field asks for is stale; a line of the plan without a rule is
missing. Only the target is left out of the comparison, because the proxy port in it is random.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeAlias

from labkit.inspection import collect, sockets
from labkit.model import portals, proxying, rules

_ANY = IPv4Address("0.0.0.0")


@dataclass(frozen=True, slots=True)
class SeenRule:
    """A rule in the kernel. `field` is what asks for it in the Service; empty: nothing does."""

    table: str
    chain: str
    text: str
    packets: int
    bytes: int
    field: str


@dataclass(frozen=True, slots=True)
class PortOnNode:
    """One port of the Service on one node. `proxy_port` is 0 where no rule leads to one."""

    name: str
    protocol: str
    proxy_port: int
    listener: sockets.Socket | None
    rules: tuple[SeenRule, ...]


@dataclass(frozen=True, slots=True)
class ServiceOnNode:
    """All that one node has for a Service. `problems` are sentences; none is good news."""

    name: str
    role: str
    address: IPv4Address
    ports: tuple[PortOnNode, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A rule that a field of the Service asks for, without the target."""

    table: str
    chain: str
    matches: str


#: A port as it is, and the (field, chain) of each rule that should be there and is not.
_Inspected: TypeAlias = tuple[PortOnNode, list[tuple[str, str]]]


def inspect_node(
    service: str, ports: Iterable[proxying.ServicePort], state: collect.NodeState
) -> ServiceOnNode:
    """Look for the Service `namespace/name` on one node."""
    wanted = {str(port.name): (index, port) for index, port in enumerate(ports)}
    found = list(_rules_of(service, state.rules))
    names = [*wanted, *sorted({rule.comment for _, rule in found} - wanted.keys())]
    inspected = [
        _inspect_port(
            name, wanted.get(name), [one for one in found if one[1].comment == name], state
        )
        for name in names
    ]
    node = state.node
    problems = (
        [state.trouble] if state.trouble else _problems(state.rules, inspected, wanted.keys())
    )
    seen = tuple(port for port, _ in inspected)
    return ServiceOnNode(node.name, node.role, node.address, seen, tuple(problems))


def proxy_port_of(rule: rules.Rule) -> int:
    """The port that a portal's rule leads to: of REDIRECT or DNAT; else 0."""
    to = rule.value("--to-ports") or rule.value("--to-destination") or ""
    digits = to.rpartition(":")[2]
    return int(digits) if digits.isdigit() else 0


def _rules_of(service: str, ruleset: rules.Ruleset) -> Iterator[tuple[str, rules.Rule]]:
    """Each rule of the Service with its table. The text is looked at first: that is fast."""
    prefix = rules.quote(service).removesuffix('"')
    for chain in portals.CHAINS:
        for rule in ruleset.rules(chain.table, chain.name):
            if prefix in rule.spec and rule.comment.partition(":")[0] == service:
                yield chain.table, rule


def _inspect_port(
    name: str,
    wanted: tuple[int, proxying.ServicePort] | None,
    found: list[tuple[str, rules.Rule]],
    state: collect.NodeState,
) -> _Inspected:
    proxy_port = _proxy_port(found, _plan(wanted, 0, state.node.address))
    asked = _plan(wanted, proxy_port, state.node.address)
    seen = tuple(_see(table, rule, asked) for table, rule in found)
    there = {_key(table, rule) for table, rule in found}
    missing = [(field, key.chain) for key, field in asked.items() if key not in there]
    protocol = wanted[1].protocol if wanted else (found[0][1].value("-p") or "tcp").upper()
    listener = sockets.find_listener(state.sockets, protocol, proxy_port)
    return PortOnNode(name, protocol, proxy_port, listener, seen), missing


def _proxy_port(found: list[tuple[str, rules.Rule]], asked: dict[_Asked, str]) -> int:
    """Where the rules lead; those that a field asks for know better than stale ones."""
    by_trust = sorted(found, key=lambda one: _key(*one) not in asked)
    return next((port for _, rule in by_trust if (port := proxy_port_of(rule))), 0)


def _plan(
    wanted: tuple[int, proxying.ServicePort] | None, proxy_port: int, address: IPv4Address
) -> dict[_Asked, str]:
    """The rules that the Service asks for, and the field that does."""
    if wanted is None:
        return {}
    index, port = wanted
    planned = portals.plan_portal(port, proxy_port, listen_ip=_ANY, host_ip=address)
    return {_key(one.table, one.rule): _field(one.service_field, index) for one in planned}


def _key(table: str, rule: rules.Rule) -> _Asked:
    return _Asked(table, rule.chain, rule.spec.rpartition(" -j ")[0])


def _field(service_field: str, index: int) -> str:
    """The field with the place of its port in the list, as one would write it in a patch."""
    port = f"spec.ports[{index}]"
    if service_field == "spec.ports.nodePort":
        return f"{port}.nodePort"
    return f"{service_field} + {port}.port"


def _see(table: str, rule: rules.Rule, asked: dict[_Asked, str]) -> SeenRule:
    counters = rule.counters or rules.Counters()
    field = asked.get(_key(table, rule), "")
    return SeenRule(table, rule.chain, rule.text, counters.packets, counters.bytes, field)


def _problems(
    ruleset: rules.Ruleset, inspected: Iterable[_Inspected], wanted: Collection[str]
) -> Iterator[str]:
    if not any(ruleset.chain(chain.table, chain.name) for chain in portals.CHAINS):
        if wanted:
            yield "none of kube-proxy's chains exists: kube-proxy has not been running here"
        return
    yield from _chain_problems(ruleset)
    for port, missing in inspected:
        yield from _port_problems(port, missing, known=port.name in wanted)


def _chain_problems(ruleset: rules.Ruleset) -> Iterator[str]:
    """Chains that are not there, or that no packet gets into."""
    for chain in portals.CHAINS:
        if ruleset.chain(chain.table, chain.name) is None:
            yield f"the chain {chain.name} does not exist"
        elif not any(
            _jumps_to(chain.name, rule) for rule in ruleset.rules(chain.table, chain.hook)
        ):
            yield f"the jump from {chain.hook} to {chain.name} is missing: no packet gets there"


def _jumps_to(chain: str, rule: rules.Rule) -> bool:
    return rule.spec.endswith(f"-j {chain}")


def _port_problems(
    port: PortOnNode, missing: list[tuple[str, str]], *, known: bool
) -> Iterator[str]:
    if not port.rules:
        yield f"no rule for {port.name}: kube-proxy has not seen this Service, or does not run"
        return
    for field, chain in missing:
        yield f"no rule for {field} in {chain}"
    if not known:
        yield f"the rules of {port.name} are stale: the Service has no such port"
    for rule in port.rules:
        if known and not rule.field:
            yield f"stale rule, no field of the Service asks for it: {rule.text}"
    if port.proxy_port and port.listener is None:
        where = f"{port.proxy_port}/{port.protocol.lower()}"
        yield f"nobody listens on the proxy port {where}: connections are refused"
