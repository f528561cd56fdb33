"""What a probe left behind: the rules that moved, by node, and the pods that answered.

A rule of the nat table counts connections, one packet for each; a rule of the filter table counts
every packet. Only rules that can tell are shown: those of the nat table, and those of the Service
itself. (The jump in filter's INPUT counts whatever arrives, our own SSH as well.)
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.inspection import answers, collect, proof, schema
from labkit.inspection.probe import shot
from labkit.model import rules

SCHEMA = "probe"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """All answers that look alike. `seen_address` is what the pod took for its client's."""

    pod: str
    pod_node: str
    text: str
    own_address: str
    seen_address: str
    seen_as: str
    requests: int
    median_ms: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Requests without an answer, and what the sender was told."""

    error: str
    requests: int


@dataclass(frozen=True, slots=True, repr=False)
class Probe(shown.Shown):
    """`count` requests, the counter fingerprint of them together, and who answered."""

    service: str
    sender: str
    dialled: str
    protocol: str
    count: int
    command: str
    moved: tuple[proof.Moved, ...]
    answered: tuple[Answered, ...]
    failed: tuple[Failed, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.failed and not self.problems

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def document(self) -> document.Section:
        return document.Section(
            f"{self.sender} asks {self.service} at {self.dialled}",
            (
                *_summary(self),
                _moved_table(self),
                _answers_table(self.answered),
                document.Section("One of them by hand", (document.Code((self.command,)),)),
            ),
        )


def judge(
    planned: shot.Shot,
    heard: Sequence[answers.Answer],
    before: Sequence[collect.NodeState],
    after: Sequence[collect.NodeState],
    owners: Mapping[str, str],
) -> Probe:
    """Put together what came back and what was counted. Pure."""
    trouble = {state.node.name: state.trouble for state in (*before, *after) if state.trouble}
    return Probe(
        service=planned.service,
        sender=planned.sender,
        dialled=planned.dialled,
        protocol=planned.protocol,
        count=planned.count,
        command=planned.line,
        moved=tuple(find_moved(planned.service, before, after)),
        answered=tuple(_group([one for one in heard if not one.error], owners)),
        failed=tuple(_failures([one.error for one in heard if one.error])),
        problems=tuple(
            f"the counters of {node} could not be read: {why}" for node, why in trouble.items()
        ),
    )


def find_moved(
    service: str, before: Sequence[collect.NodeState], after: Sequence[collect.NodeState]
) -> Iterator[proof.Moved]:
    """Rules that counted in between, in the order of the kernel; a new one counts from nothing."""
    earlier = {state.node.name: dict(_counts(state.rules, service)) for state in before}
    for state in after:
        then = earlier.get(state.node.name, {})
        for (table, rule), packets in _counts(state.rules, service):
            if more := packets - then.get((table, rule), 0):
                yield proof.Moved(state.node.name, table, rule.chain, rule.text, more)


def _counts(ruleset: rules.Ruleset, service: str) -> Iterator[tuple[tuple[str, rules.Rule], int]]:
    for table in ruleset.tables:
        for chain in table.chains:
            for rule in chain.rules:
                if table.name == "nat" or rule.comment == service:
                    yield (table.name, rule), (rule.counters or rules.Counters()).packets


def _group(heard: Sequence[answers.Answer], owners: Mapping[str, str]) -> Iterator[Answered]:
    """Answers by who gave them, the most first."""
    alike: dict[tuple[str, str, str, str, str], list[float]] = {}
    for one in heard:
        key = (one.pod, one.node, one.text, one.own_address, one.seen_address)
        alike.setdefault(key, []).append(one.milliseconds)
    for key, times in sorted(alike.items(), key=lambda item: (-len(item[1]), item[0])):
        pod, node, text, own, seen = key
        median = round(statistics.median(times), 1)
        yield Answered(pod, node, text, own, seen, owners.get(seen, ""), len(times), median)


def _failures(said: Sequence[str]) -> Iterator[Failed]:
    for error in dict.fromkeys(said):
        yield Failed(error, said.count(error))


def _summary(probe: Probe) -> Iterator[document.Block]:
    answered = sum(one.requests for one in probe.answered)
    told = f"{answered} of {probe.count} requests were answered."
    yield document.Text(document.good(told) if answered == probe.count else document.bad(told))
    for failed in probe.failed:
        yield document.Text(document.bad(f"{failed.requests} without an answer: {failed.error}"))
    for problem in probe.problems:
        yield document.Text(document.bad(problem))
    if any(one.seen_address not in ("", one.own_address) for one in probe.answered):
        yield document.Text(
            "The pods saw another client than the one that asked: a proxy stands between."
        )


def _moved_table(probe: Probe) -> document.Table:
    rows: list[list[document.Cell]] = [
        [
            one.node,
            one.table,
            one.chain,
            f"+{one.packets}",
            f"{one.packets / probe.count:.2g}",
            one.rule.removeprefix(f"-A {one.chain} "),
        ]
        for one in probe.moved
    ]
    columns = ("on", "table", "chain", "packets", "a request", "rule")
    empty = "no rule counted anything: the requests did not come by kube-proxy's rules"
    return document.Table(columns, rows, "Which rules moved", empty, long_last=True)


def _answers_table(answered: Sequence[Answered]) -> document.Table:
    rows: list[list[document.Cell]] = [
        [
            one.pod or one.text or "-",
            one.pod_node or "-",
            one.requests,
            one.own_address or "-",
            f"{one.seen_address} ({one.seen_as})" if one.seen_as else one.seen_address or "-",
            f"{one.median_ms:g}",
        ]
        for one in answered
    ]
    columns = ("answered by", "on", "requests", "client's address", "the pod saw", "median ms")
    return document.Table(columns, rows, "Who answered", "nobody")
