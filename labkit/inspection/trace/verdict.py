"""Where a request without an answer ended, and why, as far as it was seen. Pure.

The story is read from its beginning: the first thing that should have followed and did not, is it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.inspection import collect, endpoints, nodes, sockets
from labkit.inspection.probe import shot
from labkit.inspection.trace import events, joining
from labkit.model import portals, proxying

_REFUSED = ("DROP", "REJECT")
_OURS = {chain.name for chain in portals.CHAINS}
#: Where a rule turns a packet: ADDRESS:PORT, or a port of the machine itself.
_TURNS = re.compile(r"-j (?:DNAT --to-destination|REDIRECT --to-ports) (\S+)")
#: What the proxy was told where a pod's machine answers, but nobody listens at that port.
_NOBODY = "Connection refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`at` is the last place that was reached."""

    at: str
    cause: str


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known: what happened, and how things stood. `error` is what the sender said."""

    planned: shot.Shot
    story: joining.Story
    states: Sequence[collect.NodeState]
    objects: collect.Objects
    error: str

    def state(self, node: str) -> collect.NodeState | None:
        return next((one for one in self.states if one.node.name == node), None)


def judge(case: Case) -> Verdict:
    """Say why there was no answer."""
    story = case.story
    if not story.there:
        cause = (
            "no node of the cluster saw its first packet: the sender has no way to that address, "
            "or it is not one of a node's"
        )
        return Verdict(case.planned.sender, cause)
    if refused := _refused(story.there):
        return refused
    if story.record:
        return _after_the_proxy(case)
    turn = _last_turn(story)
    return _not_taken(case, *turn) if turn else _not_turned(case)


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


# --- it came to a node, and no proxy knows of it -------------------------------------------------


def _last_turn(story: joining.Story) -> tuple[events.Judged, str] | None:
    """The last rule of nat that changed where it goes, and where that is."""
    for one in reversed(_met(story)):
        if found := _TURNS.search(one.rule):
            return one, found[1]
    return None


def _not_turned(case: Case) -> Verdict:
    """No rule changed where it goes: one came first that said ACCEPT, or one lacks."""
    met, last = _met(case.story), _last(case.story)
    ended = next((one for one in met if one.rule and one.verdict == "ACCEPT"), None)
    if ended:
        cause = f"in table nat, chain {ended.chain}, this came first and let it pass: {ended.rule}"
        return Verdict(last.node, cause)
    return Verdict(last.node, f"no rule led it to a proxy: {_what_lacks(case, last.node)}")


def _met(story: joining.Story) -> list[events.Judged]:
    """What judged it in the table nat."""
    return [one for passage in story.there for one in passage.judged if one.table == "nat"]


def _last(story: joining.Story) -> events.Passage:
    return max(story.there, key=lambda one: one.when)


def _what_lacks(case: Case, node: str) -> str:
    """What inspection finds missing on that node."""
    ports, state = proxying.parse_service(case.objects.service), case.state(node)
    if state and ports:
        service = case.planned.service.partition(":")[0]
        found = nodes.inspect_node(service, ports, state)
        if found.problems:
            return "; ".join(found.problems)
    return "is it an address of this Service, and of this node?"


def _not_taken(case: Case, led: events.Judged, target: str) -> Verdict:
    """A rule led it somewhere, and there it was not taken."""
    node, source = _last(case.story).node, case.story.there[0].first.source
    ours = led.chain in _OURS
    whose = "a rule" if ours else f"a rule that userspace mode did not write ({led.rule})"
    address, _, port = target.rpartition(":")
    state = case.state(node)
    if address and state and address != str(state.node.address):
        return Verdict(node, f"{whose} led it to {target}, which did not answer")
    owner = (
        sockets.find_listener(state.sockets, case.planned.protocol, int(port)) if state else None
    )
    if owner is None:
        return Verdict(node, f"{whose} led it to port {port}, and nobody listens there")
    if lost := _way_back(case, node, source):
        return Verdict(node, lost)
    cause = f"{owner.owner} listens at port {port}, and did not take it: does it hang?"
    return Verdict(f"port {port} on {node}", cause)


def _way_back(case: Case, node: str, source: str) -> str:
    """Whether the handshake ended: connection tracking has seen what came and what went."""
    entries = [line for line in case.story.translations if line.startswith(f"{node}: tcp")]
    if any(" SYN_SENT " in line for line in entries):
        return f"{node} took it and could not answer: has it a route back to {source}?"
    if any(" SYN_RECV " in line for line in entries):
        return f"{node} answered, and that was lost on its way back to {source}"
    return ""


# --- a proxy took it -----------------------------------------------------------------------------


def _after_the_proxy(case: Case) -> Verdict:
    record = case.story.record or {}
    node = case.story.proxy_node
    where = f"kube-proxy on {node}"
    tried = [f"{one['endpoint']}: {one['why']}" for one in record["failedDials"]]
    if record["outcome"] == "no endpoints":
        return Verdict(where, f"the Service has no endpoints. {_why_nobody(case.objects)}".strip())
    if refused := _refused(case.story.onward):
        return refused
    if tried:
        all_refused = all(one.endswith(_NOBODY) for one in tried)
        doubt = (
            "is targetPort right, and does the pod's program run?"
            if all_refused
            else f"has {node} a way to them, and have they one back?"
        )
        told = "; ".join(dict.fromkeys(tried))
        return Verdict(where, f"no endpoint could be reached ({told}): {doubt}")
    if not record["source"]:
        cause = f"it still dials {record['endpoint']}, which does not answer"
        return Verdict(where, cause)
    cause = f"the pod at {record['endpoint']} took the connection and did not answer ({case.error})"
    return Verdict(f"pod {record.get('pod') or record['endpoint']}", cause)


def _why_nobody(found: collect.Objects) -> str:
    """What inspection says of the selector, and of the pods that it finds."""
    backends = endpoints.list_backends(found.endpoints, found.pods)
    *reasons, _what_a_proxy_does = endpoints.explain_backends(found.service, backends, found.pods)
    return " ".join(reasons)
