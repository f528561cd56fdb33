"""Sending the five requests. Three steps: read all counters, send, read them again.

The machines that send do so side by side, each one its requests in order: three round trips of
waiting and no more than four commands on one node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from labkit import errors
from labkit.inspection import answers, collect, proof, scripts, ways
from labkit.model import resources, spec

#: So much later than the program on the node gives up, we give up on the connection.
MARGIN_S = 10.0


def wait_until_served(
    machines: collect.Machines,
    nodes: Iterable[str],
    service: str,
    *,
    timeout_s: float,
    parts: Sequence[str] = (),
) -> None:
    """Return when kube-proxy on each of `nodes` serves `service` (`namespace/name`).

    Its rules have to contain each of `parts`, such as `--dport 30062`.

    Raises TimedOut that names the nodes where it does not. Waits on the nodes themselves, for the
    kernel's own word that rules have changed.
    """
    script = Path(__file__).with_name("await_rules.py")
    argv = scripts.argv(script, service, f"{timeout_s:g}", *parts)
    ended = machines.map(
        nodes, lambda node: node.run(argv, check=False, timeout_s=timeout_s + MARGIN_S)
    )
    late = [name for name, command in ended.items() if command.exit_status]
    if late:
        raise errors.TimedOut(
            f"kube-proxy on {', '.join(late)} does not serve {service} after {timeout_s:.0f} s",
            hint=f"`labkit logs {late[0]}/kube-proxy` shows why",
        )


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
