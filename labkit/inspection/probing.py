"""Sending the five requests. Three steps: read all counters, send, read them again.

The machines that send do so side by side, each one its requests in order: three round trips of
waiting and no more than four commands on one node.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit import errors
from labkit.inspection import answers, collect, proof, ways
from labkit.model import resources, spec


def send_ways(
    machines: collect.Machines,
    lab: spec.LabSpec,
    service: resources.Object,
    pods: Sequence[resources.Object],
) -> proof.WaysReport:
    """Send a real request through each way and report what it proved.

    Raises nothing for a machine that does not answer: the report says so.
    """
    attempts = ways.plan_ways(lab, service, pods)
    catchers = {attempt.catcher for attempt in attempts if not attempt.why_not}
    nodes = [node for node in lab.cluster if node.name in catchers]
    before = collect.read_nodes(machines, nodes)
    answered = _send(machines, attempts)
    after = collect.read_nodes(machines, nodes)
    return proof.judge_ways(lab, service, pods, attempts, answered, before, after)


def _send(
    machines: collect.Machines, attempts: Sequence[ways.Attempt]
) -> dict[int, answers.Answer]:
    """The answers by the way's number."""
    by_machine: dict[str, list[ways.Attempt]] = {}
    for attempt in attempts:
        if not attempt.why_not:
            by_machine.setdefault(attempt.machine, []).append(attempt)
    sent = machines.map(
        by_machine,
        lambda connection: {
            one.way.number: _send_one(connection, one) for one in by_machine[connection.name]
        },
    )
    return {number: answer for each in sent.values() for number, answer in each.items()}


def _send_one(connection: collect.Connection, attempt: ways.Attempt) -> answers.Answer:
    try:
        command = connection.run(attempt.argv, check=False)
    except errors.LabkitError as error:
        return answers.Answer(error=str(error))
    return answers.parse_answer(command)
