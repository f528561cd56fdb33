"""The steps: arm all nodes at once, send one request, hear what all of them have to tell.

Three commands on a node and no more: the rules and sockets, the arming, the telling.
"""

from __future__ import annotations

import functools
import json
import random
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import errors
from labkit.inspection import answers, collect, probing
from labkit.inspection.predict import asking
from labkit.inspection.probe import sending, shot
from labkit.inspection.trace import arming, considering, joining, report, verdict
from labkit.model import commands, proxying, spec

if TYPE_CHECKING:
    from labkit.client import http

#: How long one step on a node may take: a loaded machine starts Python slowly.
STEP_S = 20.0


def trace(
    machines: collect.Machines,
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
    states = collect.read_nodes(machines, lab.cluster, service=str(port.name))
    ends = proxying.parse_endpoints(found.endpoints) if found.endpoints else {}
    name = secrets.token_hex(4)
    armed = _arm(machines, name, planned, port, ends.get(port.name, ()), states)
    try:
        sent_at = time.time()
        answer = _send(machines, planned)
    finally:
        told = _tell(machines, name, planned, armed)
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
    )


@functools.cache
def node_script() -> str:
    """A file of its own, so that it can be read, and run on a node by hand."""
    return Path(__file__).with_name("on_node.py").read_text()


def on_node(*words: str) -> tuple[str, ...]:
    """The command that runs the script there."""
    return ("/usr/bin/python3", "-I", "-S", "-c", node_script(), *words)


def _arm(
    machines: collect.Machines,
    name: str,
    planned: shot.Shot,
    port: proxying.ServicePort,
    endpoints: Sequence[proxying.Endpoint],
    states: Sequence[collect.NodeState],
) -> dict[str, str]:
    """Every node with what kept it from listening; an empty text where nothing did."""
    rules = {
        state.node.name: arming.plan_rules(planned, endpoints, asking.proxy_ports(state, port))
        for state in states
    }

    def arm(node: collect.Connection) -> str:
        argv = on_node("arm", name, str(arming.LASTS_S), *rules[node.name])
        return _complaint(node, argv)

    armed = machines.map(rules, arm)
    if all(armed.values()):
        raise errors.NotSupported(
            f"no node can tell what its rules do: {next(iter(armed.values()))}",
            hint="it takes xtables-monitor, and iptables in its nf_tables variant",
        )
    return armed


def _complaint(node: collect.Connection, argv: Sequence[str]) -> str:
    try:
        done = node.run(argv, check=False, timeout_s=STEP_S)
    except errors.LabkitError as error:
        return error.message
    return done.stderr.strip() if done.exit_status else ""


def _send(machines: collect.Machines, planned: shot.Shot) -> answers.Answer:
    sent = machines.map(
        [planned.machine],
        lambda connection: connection.run(
            planned.argv, check=False, timeout_s=planned.longest_s + probing.MARGIN_S
        ),
    )[planned.machine]
    [answer] = sending.parse_answers(sent)
    return answer


def _tell(
    machines: collect.Machines, name: str, planned: shot.Shot, armed: dict[str, str]
) -> list[joining.Told]:
    argv = on_node("tell", name, str(planned.source_port), planned.protocol.lower())

    def tell(node: collect.Connection) -> joining.Told:
        try:
            return parse_told(node.run(argv, check=False, timeout_s=STEP_S))
        except errors.LabkitError as error:
            return joining.Told(node.name, trouble=error.message)

    listening = [node for node, trouble in armed.items() if not trouble]
    told = machines.map(listening, tell)
    deaf = {node: joining.Told(node, trouble=why) for node, why in armed.items() if why}
    return [(told | deaf)[node] for node in armed]


def parse_told(command: commands.Command) -> joining.Told:
    """What the script printed on one node."""
    if command.exit_status:
        said = command.stderr.strip().splitlines() or ["it told nothing"]
        return joining.Told(command.node, trouble=said[-1])
    told = json.loads(command.stdout)
    journal = told["journal"]
    return joining.Told(
        command.node,
        tuple((float(when), str(line)) for when, line in told["heard"]),
        () if isinstance(journal, str) else tuple(journal),
        tuple(told["conntrack"]),
        f"kube-proxy's journal: {journal}" if isinstance(journal, str) else "",
    )
