"""What the five requests proved: which rule moved, which pod answered, and whom it saw.

A rule of the nat table counts one packet for each connection: only the first packet of one is
looked up, connection tracking translates the rest. So a request through a rule moves it by one,
and anything else is worth a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.inspection import answers, collect, schema, ways
from labkit.model import portals, resources, rules, spec

SCHEMA = "ways-report"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Moved:
    """A rule whose counter went on between two readings."""

    node: str
    table: str
    chain: str
    rule: str
    packets: int


@dataclass(frozen=True, slots=True)
class Proof:
    """One way in, as it was seen. Without `problem` it went as it should.

    `verdict` is how the rule ends, `own_address` the client's address, `seen_address` what the pod
    took for it, and `seen_as` says whose that is.
    """

    number: int
    client: str
    dialled: str
    command: str
    node: str
    chain: str
    hook: str
    verdict: str
    rule: str
    packets: int
    pod: str
    pod_node: str
    answer: str
    own_address: str
    seen_address: str
    seen_as: str
    milliseconds: float
    problem: str


@dataclass(frozen=True, slots=True, repr=False)
class WaysReport(shown.Shown):
    """The five ways, and every rule of the Service that moved on any node meanwhile."""

    service: str
    proofs: tuple[Proof, ...]
    moved: tuple[Moved, ...]

    @property
    def ok(self) -> bool:
        return not any(proof.problem for proof in self.proofs)

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def document(self) -> document.Section:
        return document.Section(
            f"The five ways into {self.service}",
            (
                *_summary(self.proofs),
                _caught_table(self.proofs),
                _answered_table(self.proofs),
                *_others_table(self),
                document.Section("The same by hand", (_commands(self.proofs),)),
            ),
        )


def judge_ways(
    lab: spec.LabSpec,
    service: resources.Object,
    pods: Sequence[resources.Object],
    attempts: Sequence[ways.Attempt],
    answered: Mapping[int, answers.Answer],
    before: Sequence[collect.NodeState],
    after: Sequence[collect.NodeState],
) -> WaysReport:
    """Hold the answers and the counters of all nodes against what should have happened. Pure."""
    name = resources.name_of(service)
    owners = name_addresses(lab, pods)
    moved = tuple(_moved(name, before, after))
    trouble = {state.node.name: state.trouble for state in (*before, *after) if state.trouble}
    proofs = []
    for attempt in attempts:
        answer = answered.get(attempt.way.number, answers.Answer())
        rule = _rule_of(attempt, after)
        packets = sum(one.packets for one in moved if _is_at(one, attempt, rule))
        problem = _problem(attempt, answer, rule, packets, trouble.get(attempt.catcher, ""))
        proofs.append(_prove(attempt, answer, rule, packets, problem, owners))
    return WaysReport(name, tuple(proofs), moved)


def name_addresses(lab: spec.LabSpec, pods: Sequence[resources.Object]) -> dict[str, str]:
    """Whose address is it? Machines, their bridges, and pods.

    A node asks a pod of its own from the address of its bridge, and other nodes' from its own.
    """
    named = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in pods if _has_address(pod)}
    for node in lab.nodes:
        named[str(node.address)] = node.name
        if node.pod_network:
            named[str(node.pod_network[1])] = f"{node.name}'s cbr0"
    return named


def _has_address(pod: resources.Object) -> bool:
    return bool((pod.get("status") or {}).get("podIP"))


def _moved(
    service: str, before: Sequence[collect.NodeState], after: Sequence[collect.NodeState]
) -> Iterator[Moved]:
    """A rule that was not there before counts from nothing."""
    earlier = {state.node.name: _counts(state.rules) for state in before}
    for state in after:
        then = earlier.get(state.node.name, {})
        for (table, rule), packets in _counts(state.rules).items():
            went_on = packets - then.get((table, rule), 0)
            if went_on and rule.comment.partition(":")[0] == service:
                yield Moved(state.node.name, table, rule.chain, rule.text, went_on)


def _counts(ruleset: rules.Ruleset) -> dict[tuple[str, rules.Rule], int]:
    return {
        (chain.table, rule): (rule.counters or rules.Counters()).packets
        for chain in portals.CHAINS
        for rule in ruleset.rules(chain.table, chain.name)
    }


def _rule_of(attempt: ways.Attempt, states: Sequence[collect.NodeState]) -> rules.Rule | None:
    """The rule that has to catch this request."""
    for state in states:
        if state.node.name != attempt.catcher:
            continue
        for rule in state.rules.rules("nat", attempt.way.chain):
            if _catches(rule, attempt):
                return rule
    return None


def _catches(rule: rules.Rule, attempt: ways.Attempt) -> bool:
    if attempt.port_name not in rule.spec:  # the text is looked at first: that is fast
        return False
    at = rule.value("-d") or ""
    return (
        rule.comment == attempt.port_name
        and rule.value("--dport") == str(attempt.port)
        and at.partition("/")[0] in ("", attempt.address)
    )


def _is_at(moved: Moved, attempt: ways.Attempt, rule: rules.Rule | None) -> bool:
    return rule is not None and (moved.node, moved.rule) == (attempt.catcher, rule.text)


def _problem(
    attempt: ways.Attempt,
    answer: answers.Answer,
    rule: rules.Rule | None,
    packets: int,
    trouble: str,
) -> str:
    """What did not go as it should, the first cause first; empty when all did."""
    if attempt.why_not:
        return f"not sent: {attempt.why_not}"
    if trouble:
        return f"the counters of {attempt.catcher} could not be read: {trouble}"
    if rule is None:
        return f"{attempt.catcher} has no rule for it in {attempt.way.chain}"
    if answer.error:
        return f"no answer: {answer.error}"
    if packets == 0:
        return "the rule counted nothing: the answer did not come through it"
    if packets != 1:
        return f"the rule counted {packets} packets for one connection: others use it as well"
    return ""


def _prove(
    attempt: ways.Attempt,
    answer: answers.Answer,
    rule: rules.Rule | None,
    packets: int,
    problem: str,
    owners: Mapping[str, str],
) -> Proof:
    return Proof(
        number=attempt.way.number,
        client=attempt.client or attempt.way.client,
        dialled=f"{attempt.address}:{attempt.port}" if attempt.address else attempt.way.dials,
        command=attempt.line if attempt.machine else "",
        node=attempt.catcher,
        chain=attempt.way.chain,
        hook=attempt.way.hook,
        verdict=rule.spec.partition(" -j ")[2] if rule else "",
        rule=rule.text if rule else "",
        packets=packets,
        pod=answer.pod,
        pod_node=answer.node,
        answer=answer.text,
        own_address=answer.own_address,
        seen_address=answer.seen_address,
        seen_as=owners.get(answer.seen_address, ""),
        milliseconds=answer.milliseconds,
        problem=problem,
    )


def _summary(proofs: Sequence[Proof]) -> Iterator[document.Block]:
    fine = sum(not proof.problem for proof in proofs)
    told = f"{fine} of {len(proofs)} requests were caught by their chain and answered."
    yield document.Text(document.good(told) if fine == len(proofs) else document.bad(told))
    for proof in proofs:
        if proof.problem:
            yield document.Text(document.bad(f"Way {proof.number}: {proof.problem}."))
    foreign = [proof for proof in proofs if proof.seen_address and proof.hook == "PREROUTING"]
    if foreign and all(proof.own_address != proof.seen_address for proof in foreign):
        yield document.Text(
            "No pod saw its client's address, but the proxying node's: the proxy ends the client's "
            "connection and makes a second one of its own."
        )


def _caught_table(proofs: Sequence[Proof]) -> document.Table:
    rows: list[list[document.Cell]] = [
        [
            str(proof.number),
            proof.client,
            proof.dialled,
            proof.node or "-",
            proof.chain,
            proof.packets,
            f"in {proof.hook}: {proof.verdict}" if proof.verdict else "",
        ]
        for proof in proofs
    ]
    columns = ("way", "client", "dials", "on", "caught by", "packets", "hook and verdict")
    return document.Table(columns, rows, "Which rule moved", long_last=True)


def _answered_table(proofs: Sequence[Proof]) -> document.Table:
    rows: list[list[document.Cell]] = [
        [
            str(proof.number),
            proof.pod or proof.answer or "-",
            proof.pod_node or "-",
            proof.own_address or "-",
            _seen(proof),
            f"{proof.milliseconds:g}",
        ]
        for proof in proofs
        if not proof.problem or proof.own_address
    ]
    columns = ("way", "answered by", "on", "client's address", "the pod saw", "ms")
    return document.Table(columns, rows, "Who answered", "nobody")


def _others_table(report: WaysReport) -> Iterator[document.Block]:
    """What moved besides: KUBE-NODEPORT-NON-LOCAL counts whatever reaches the proxy port."""
    shown_above = {(proof.node, proof.rule) for proof in report.proofs}
    rows: list[list[document.Cell]] = [
        [one.node, one.chain, one.packets, one.rule.removeprefix(f"-A {one.chain} ")]
        for one in report.moved
        if (one.node, one.rule) not in shown_above
    ]
    if rows:
        columns = ("on", "chain", "packets", "rule")
        yield document.Table(columns, rows, "What else moved", long_last=True)


def _seen(proof: Proof) -> str:
    if not proof.seen_address:
        return "-"
    return f"{proof.seen_address} ({proof.seen_as})" if proof.seen_as else proof.seen_address


def _commands(proofs: Sequence[Proof]) -> document.Code:
    return document.Code(tuple(proof.command for proof in proofs if proof.command))
