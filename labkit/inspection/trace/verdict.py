"""Where a request without an answer ended, and why, as far as it was seen. Pure.

The story is read from its beginning: the first thing that should have followed and did not, is it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.inspection import collect, nodes, sockets
from labkit.inspection.trace import events, joining
from labkit.model import portals, proxying

_REFUSED = ("DROP", "REJECT")
_OURS = {chain.name for chain in portals.CHAINS}
#: Where a rule turns a packet: ADDRESS:PORT, or a port of the machine itself.
_TURNS = re.compile(r"-j (?:DNAT --to-destination|REDIRECT --to-ports) (\S+)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`at` is the last place that was reached."""

    at: str
    cause: str


def judge(
    story: joining.Story,
    states: Sequence[collect.NodeState],
    ports: Sequence[proxying.ServicePort],
    *,
    protocol: str,
    sender: str,
    error: str,
) -> Verdict:
    """Say why there was no answer; `error` is what the sender was told.

    `ports` are all of the Service: what lacks on a node is what one of them would need there.
    """
    if not story.there:
        cause = (
            "no node of the cluster saw its first packet: the sender has no way to that address, "
            "or it is not one of a node's"
        )
        return Verdict(sender, cause)
    if refused := _refused(story.there):
        return refused
    if story.record is None:
        return _not_taken(story.there, states, ports, protocol)
    return _after_the_proxy(story, error)


def _refused(passages: Sequence[events.Passage]) -> Verdict | None:
    for passage in passages:
        for one in passage.judged:
            if one.verdict in _REFUSED or _refuses(one.rule):
                rule = one.rule or f"the policy of {one.chain}"
                cause = f"in table {one.table}, chain {one.chain}, this refused it: {rule}"
                return Verdict(passage.node, cause)
    return None


def _refuses(rule: str) -> bool:
    return rule.endswith(" -j DROP") or " -j REJECT" in rule


def _not_taken(
    passages: Sequence[events.Passage],
    states: Sequence[collect.NodeState],
    ports: Sequence[proxying.ServicePort],
    protocol: str,
) -> Verdict:
    """It came to a node, and no proxy knows of it: say where the rules of nat led it."""
    last = max(passages, key=lambda one: one.when)
    state = next((one for one in states if one.node.name == last.node), None)
    met = [one for passage in passages for one in passage.judged if one.table == "nat"]
    led = next((one for one in reversed(met) if _TURNS.search(one.rule)), None)
    if led is None:
        return Verdict(last.node, f"no rule led it to a proxy: {_what_lacks(state, ports)}")
    whose = (
        "a rule" if led.chain in _OURS else f"a rule that userspace mode did not write ({led.rule})"
    )
    target = _TURNS.search(led.rule)
    assert target is not None
    address, _, number = target[1].rpartition(":")
    if address and state and address != str(state.node.address):
        return Verdict(last.node, f"{whose} led it to {target[1]}, which did not answer")
    owner = sockets.find_listener(state.sockets, protocol, int(number)) if state else None
    if owner is None:
        return Verdict(last.node, f"{whose} led it to port {number}, and nobody listens there")
    cause = f"{owner.owner} listens at port {number}, and did not take it: does it hang?"
    return Verdict(f"port {number} on {last.node}", cause)


def _what_lacks(state: collect.NodeState | None, ports: Sequence[proxying.ServicePort]) -> str:
    """What inspection finds missing on that node."""
    if state and ports:
        name = ports[0].name
        seen = nodes.inspect_node(f"{name.namespace}/{name.name}", ports, state)
        if seen.problems:
            return "; ".join(seen.problems)
    return "is it an address of this Service, and of this node?"


def _after_the_proxy(story: joining.Story, error: str) -> Verdict:
    record = story.record or {}
    where = f"kube-proxy on {story.proxy_node}"
    failed = [f"{one['endpoint']}: {one['why']}" for one in record["failedDials"]]
    tried = "; ".join(dict.fromkeys(failed))
    if record["outcome"] == "no endpoints":
        cause = "the Service has no endpoints: no pod that is ready has the labels of its selector"
        return Verdict(where, cause)
    if refused := _refused(story.onward):
        return refused
    if tried:
        cause = (
            f"no endpoint could be reached ({tried}): is targetPort right, and does the pod run?"
        )
        return Verdict(where, cause)
    if not record["source"]:
        cause = f"it still dials {record['endpoint']}, which does not answer"
        return Verdict(where, cause)
    cause = f"the pod at {record['endpoint']} took the connection and did not answer ({error})"
    return Verdict(f"pod {record.get('pod') or record['endpoint']}", cause)
