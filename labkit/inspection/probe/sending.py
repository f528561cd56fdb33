"""Three steps: read the counters of all nodes, send, read them again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from labkit import errors
from labkit.inspection import answers, collect, probing, proof
from labkit.inspection.predict import asking
from labkit.inspection.probe import report, shot
from labkit.model import commands, spec

if TYPE_CHECKING:
    from labkit.client import http

#: A line of `ways.MEASURED`: seconds, and the sender's address if it had one.
_MEASURED = re.compile(r"^\d+\.\d+ \S*$", re.MULTILINE)


def probe(
    machines: collect.Machines,
    client: http.Client,
    lab: spec.LabSpec,
    request: asking.Request,
    count: int = 1,
) -> report.Probe:
    """Send `count` real requests and report what moved. One round trip to a node for each step.

    Raises NothingMatched and UsageError for what cannot be dialled, ConnectionFailed where the
    sender's machine cannot be reached. A request without an answer is a finding.
    """
    found = collect.read_objects(client, request.service, request.namespace)
    planned = shot.plan_shot(lab, found, request, count)
    service = f"{request.namespace}/{request.service}"
    before = collect.read_nodes(machines, lab.cluster, service=service)
    sent = machines.map(
        [planned.machine],
        lambda connection: connection.run(
            planned.argv, check=False, timeout_s=planned.longest_s + probing.MARGIN_S
        ),
    )[planned.machine]
    after = collect.read_nodes(machines, lab.cluster, service=service)
    owners = proof.name_addresses(lab, found.pods)
    return report.judge(planned, parse_answers(sent), before, after, owners)


def parse_answers(command: commands.Command) -> tuple[answers.Answer, ...]:
    """What each request brought. Raises CommandFailed if the loop itself did not run."""
    _, *parts = f"\n{command.stdout}".split(f"\n{shot.MARK}\n")
    if not parts:
        raise errors.CommandFailed(
            command.argv, command.exit_status, command.stderr, node=command.node
        )
    return tuple(_parse_one(part.rstrip("\n"), command) for part in parts)


def _parse_one(text: str, command: commands.Command) -> answers.Answer:
    said, _, status = text.rpartition("\n")
    if status != "0":  # curl measures failures, too, after it has told of them
        said = _MEASURED.sub("", said)
    one = commands.Command(
        command.argv,
        node=command.node,
        exit_status=int(status),
        stdout=said,
        stderr=said if status != "0" else "",
    )
    return answers.parse_answer(one)
