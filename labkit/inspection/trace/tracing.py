"""The steps: listen on all nodes at once, send one request, hear what all of them have to tell.

Two commands on a node and no more: one that reads its rules and sockets, one that listens.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from labkit import errors
from labkit.inspection import answers, collect, probing
from labkit.inspection.predict import asking
from labkit.inspection.probe import sending, shot
from labkit.inspection.trace import arming, considering, joining, listening, report, verdict
from labkit.model import proxying, spec

if TYPE_CHECKING:
    from labkit.client import http


def trace(
    machines: collect.StreamingMachines,
    client: http.Client,
    lab: spec.LabSpec,
    request: asking.Request,
    *,
    why: bool = False,
) -> report.Trace:
    """Send one real request and follow it. A request without an answer is a finding.

    The rules that said no are listed if there is no answer, and with `why` in any case.

    Raises NothingMatched and UsageError for what cannot be dialled, ConnectionFailed where the
    sender's machine cannot be reached, NotSupported where no node can tell what its rules did.
    """
    found = collect.read_objects(client, request.service, request.namespace)
    port = asking.find_port(found.service, request)
    source = random.choice(arming.SOURCE_PORTS)  # noqa: S311 - any will do
    planned = shot.plan_shot(lab, found, request, 1, source_port=source)
    service = f"{request.namespace}/{request.service}"
    states = collect.read_nodes(machines, lab.cluster, service=service)
    ends = proxying.parse_endpoints(found.endpoints) if found.endpoints else {}
    rules = {
        state.node.name: arming.plan_rules(
            planned, ends.get(port.name, ()), asking.proxy_ports(state, port)
        )
        for state in states
    }
    with _listening(machines, rules) as listeners:
        sent_at = time.time()
        answer = _send(machines, planned)
        for one in listeners:
            one.ask(planned.source_port, planned.protocol)
        told = [one.told() for one in listeners]
    story = joining.join(planned, sent_at, told, answer)
    case = verdict.Case(planned, story, states, found, answer.error)
    return report.Trace(
        service=planned.service,
        sender=planned.sender,
        dialled=planned.dialled,
        protocol=planned.protocol,
        command=planned.line,
        hops=story.hops,
        translations=story.translations,
        verdict=verdict.judge(case) if answer.error else None,
        problems=tuple(f"{one.node}: {one.trouble}" for one in told if one.trouble),
        considered=considering.list_considered(story, states, planned.protocol)
        if why or answer.error
        else (),
        request=asking.settle(request, outside=not lab.node(planned.machine).in_cluster),
    )


@contextlib.contextmanager
def _listening(
    machines: collect.StreamingMachines, rules: Mapping[str, Sequence[str]]
) -> Iterator[list[listening.Listener]]:
    """Somebody on every node that can; the others say why they cannot. All have ended after it."""
    name = secrets.token_hex(4)
    found = machines.map(rules, lambda node: listening.Listener(node, name, rules[node.name]))
    try:
        if all(one.trouble for one in found.values()):
            raise errors.NotSupported(
                f"no node can tell what its rules do: {next(iter(found.values())).trouble}",
                hint="it takes xtables-monitor, and iptables in its nf_tables variant",
            )
        yield list(found.values())
    finally:
        for one in found.values():
            one.close()


def _send(machines: collect.Machines, planned: shot.Shot) -> answers.Answer:
    sent = machines.map(
        [planned.machine],
        lambda connection: connection.run(
            planned.argv, check=False, timeout_s=planned.longest_s + probing.MARGIN_S
        ),
    )[planned.machine]
    [answer] = sending.parse_answers(sent)
    return answer
