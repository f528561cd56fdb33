"""One story of what many told: the nodes' kernels, the proxy's journal, the answer. Pure.

The order is that of cause and effect. The times are when each was noticed, by the clock of the
machine that noticed it, set right by how far that is ahead of ours. A kernel is heard later than it
acts, and a cause is no later than what it brought about: so each has the earliest time of all that
followed it.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labkit.inspection import answers, journal
from labkit.inspection.explain import reading, rule
from labkit.inspection.probe import shot
from labkit.inspection.trace import events


@dataclass(frozen=True, slots=True)
class Told:
    """What one node had to say. `ahead_s` is by how much its clock is ahead of ours."""

    node: str
    heard: tuple[events.Heard, ...] = ()
    journal: tuple[Mapping[str, Any], ...] = ()
    conntrack: tuple[str, ...] = ()
    trouble: str = ""
    ahead_s: float = 0.0

    def passages(self) -> tuple[events.Passage, ...]:
        """Every packet that it told of, by our clock."""
        return events.parse_passages(
            self.node, [(when - self.ahead_s, line) for when, line in self.heard]
        )


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that matched, as text and in words; or a policy, where `rule` is empty."""

    table: str
    chain: str
    verdict: str
    rule: str
    words: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One thing that happened. `where` is its lane: a sender, a node's kernel, a proxy, a pod.

    `ms` are milliseconds since its first packet was seen; None where nobody looked at a clock.
    """

    where: str
    ms: float | None
    what: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """The hops, and the parts of them that a verdict is made of."""

    hops: tuple[Hop, ...]
    there: tuple[events.Passage, ...]
    record: Mapping[str, Any] | None
    proxy_node: str
    onward: tuple[events.Passage, ...]
    translations: tuple[str, ...]


def join(planned: shot.Shot, sent_at: float, told: Sequence[Told], answer: answers.Answer) -> Story:
    """Put together what belongs to the one request that `planned` describes."""
    passages = [one for node in told for one in node.passages()]
    there = [one for one in passages if one.first.source_port == planned.source_port]
    back = [one for one in passages if one.first.port == planned.source_port]
    proxy_node, record = _find_record(planned, told)
    #: When it was sent, by the clock of the proxy's node.
    sent_there = sent_at + sum(one.ahead_s for one in told if one.node == proxy_node)
    onward, return_ = _second(passages, record)
    source = there[0].first.source if there else answer.own_address or "?"
    # A TCP connection stands before the proxy knows of it: the kernel answers the first packet.
    # A datagram is answered by nobody but the pod, and that answer comes back through the proxy.
    is_tcp = planned.protocol == "TCP"
    who = "the kernel's answer to it" if is_tcp else "the answer"
    returned = [_pass(one, sent_at, who) for one in _in_order(back, last=planned.machine)]
    sends = f"sends from {source}:{planned.source_port} to {planned.dialled}"
    hops = (
        *(
            _pass(one, sent_at, "the first packet")
            for one in _in_order(there, first=planned.machine)
        ),
        *(returned if is_tcp else ()),
        *(_proxy(proxy_node, record, sent_there) if record else ()),
        *(
            _pass(one, sent_at, "the proxy's first packet")
            for one in _in_order(onward, first=proxy_node)
        ),
        *(
            _pass(one, sent_at, "the pod's answer to that")
            for one in _in_order(return_, last=proxy_node)
        ),
        *(() if is_tcp else returned),
        *_answered(planned, proxy_node, record, answer, sent_there),
    )
    lines = tuple(f"{node.node}: {line}" for node in told for line in node.conntrack)
    return Story(
        (Hop(planned.sender, 0.0, sends), *_timed(hops)),
        tuple(there),
        record,
        proxy_node,
        tuple(onward),
        lines,
    )


def _timed(hops: Sequence[Hop]) -> Sequence[Hop]:
    """No time is later than one that follows, and the first is zero.

    What the sender does before its first packet is no part of the way.
    """
    found: list[Hop] = []
    earliest = math.inf
    for hop in reversed(hops):
        if hop.ms is not None:
            earliest = min(earliest, hop.ms)
        found.append(hop if hop.ms is None else replace(hop, ms=earliest))
    return [
        hop if hop.ms is None else replace(hop, ms=round(hop.ms - earliest, 1))
        for hop in reversed(found)
    ]


def _find_record(planned: shot.Shot, told: Sequence[Told]) -> tuple[str, Mapping[str, Any] | None]:
    """The proxy that carried it, and its journal's newest record of this very source port."""
    for node in told:
        for record in reversed(node.journal):
            mine = str(record["client"]).endswith(f":{planned.source_port}")
            if mine and record["servicePort"] == planned.service:
                return node.node, record
    return "", None


def _second(
    passages: Iterable[events.Passage], record: Mapping[str, Any] | None
) -> tuple[list[events.Passage], list[events.Passage]]:
    """The packets of what the proxy opened, there and back; of all it tried, if it had to."""
    if not record:
        return [], []
    source = str(record["source"] or "")
    tried = [str(one["endpoint"]) for one in record["failedDials"]]
    wanted = [str(record["endpoint"])] if source else tried
    port = int(source.rpartition(":")[2] or 0)
    known = list(passages)
    onward = [one for one in known if f"{one.first.destination}:{one.first.port}" in wanted]
    back = [one for one in known if f"{one.first.source}:{one.first.source_port}" in wanted]
    return (
        [one for one in onward if port in (0, one.first.source_port)],
        [one for one in back if port in (0, one.first.port)],
    )


def _in_order(
    passages: Iterable[events.Passage], *, first: str = "", last: str = ""
) -> list[events.Passage]:
    """By time; but what a node must have done before or after the others, no clock knows better."""
    return sorted(
        passages,
        key=lambda one: (one.node != first, one.node == last, bool(one.first.came_by), one.when),
    )


def _pass(passage: events.Passage, sent_at: float, what: str) -> Hop:
    texts = list(dict.fromkeys(one.text for one in passage.looks))
    changed = f"; changed to {', '.join(texts[1:])}" if texts[1:] else ""
    came, goes = passage.first.came_by, passage.last.leaves_by
    by = f"comes by {came}" if came else "is sent"
    on = f"; goes on by {goes}" if came and goes else ""
    return Hop(
        passage.node,
        _since(passage.when, sent_at),
        f"{what} {by}: {texts[0]}{changed}{on}",
        tuple(_step(one) for one in passage.judged if not _is_ours(one)),
    )


def _is_ours(judged: events.Judged) -> bool:
    """The table raw is where the trace itself stands; nothing else of a lab is there."""
    return judged.table == "raw" and (not judged.rule or "-j TRACE" in judged.rule)


def _step(judged: events.Judged) -> Step:
    if not judged.rule:
        words = f"no rule of {judged.chain} decided: {judged.verdict}"
        return Step(judged.table, judged.chain, judged.verdict, "", words)
    typed = reading.parse_typed(judged.rule)
    words = rule.explain_rule(typed.rule, table=judged.table).sentence
    return Step(judged.table, judged.chain, judged.verdict, judged.rule, words)


def _proxy(node: str, record: Mapping[str, Any], sent_at: float) -> Iterator[Hop]:
    """What the journal knows: taken, chosen, dialled."""
    where = f"kube-proxy on {node}"
    began = _seconds(record["time"])
    asked = journal.say_asked(record)
    taken = _since(began, sent_at)
    yield Hop(where, taken, f"takes what {record['client']} sent, meant for {asked}")
    for failed in record["failedDials"]:
        yield Hop(where, None, f"tried {failed['endpoint']} in vain: {failed['why']}")
    if record["endpoint"]:
        yield Hop(where, taken, f"chooses {journal.say_chosen(record)}")
    if record["source"]:
        connected = _since(began + _lasted(record, "connected"), sent_at)
        yield Hop(where, connected, f"has a socket of its own toward it: {record['source']}")


def _answered(
    planned: shot.Shot,
    node: str,
    record: Mapping[str, Any] | None,
    answer: answers.Answer,
    sent_at: float,
) -> Iterator[Hop]:
    if answer.error:
        yield Hop(planned.sender, None, f"has no answer: {answer.error}")
        return
    if answer.pod:
        text = f"answers, and takes {answer.seen_address} for its client"
        yield Hop(f"pod {answer.pod}", None, text)
    if record:
        up, down = record["bytesUp"], record["bytesDown"]
        end = _since(_seconds(record["time"]) + _lasted(record, "ended"), sent_at)
        how = record["outcome"] or "still open"
        text = f"carried {up} bytes there and {down} back; how it ended: {how}"
        yield Hop(f"kube-proxy on {node}", end if record["outcome"] else None, text)
    text = f"has the answer, {answer.milliseconds:g} ms after it began to dial"
    yield Hop(planned.sender, None, text)


def _since(when: float, sent_at: float) -> float:
    return round((when - sent_at) * 1000, 1)


def _lasted(record: Mapping[str, Any], until: str) -> float:
    """Seconds from the record's beginning; 0 for what has not happened yet."""
    clock = record["monotonic"]
    return float((clock[until] or clock["began"]) - clock["began"])


def _seconds(text: str) -> float:
    """Seconds since the epoch of a time as Kubernetes writes it."""
    return datetime.datetime.fromisoformat(text).timestamp()
