"""What came back from a request: curl's own measurements, and what the pod said about itself.

A pod of the built-in image `labkit/echo` answers in JSON: which pod it is, on which node, and
whom it sees as client. Another server's answer is kept as its first line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from labkit.model import commands

#: As much of a strange server's answer as fits in a table.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's end. `error` is curl's own message where there was no answer.

    `own_address` is the client's end of its connection, `seen_address` what the pod saw as client:
    two different connections, where a proxy stands between.
    """

    milliseconds: float = 0.0
    own_address: str = ""
    pod: str = ""
    node: str = ""
    seen_address: str = ""
    text: str = ""
    error: str = ""


def parse_answer(command: commands.Command) -> Answer:
    """Read what curl printed: the body, and under it what `ways.MEASURED` asks for."""
    if command.exit_status:
        said = command.stderr.strip().splitlines()
        return Answer(error=said[-1] if said else f"curl ended with status {command.exit_status}")
    body, _, measured = command.stdout.rpartition("\n")
    seconds, own_address = measured.split(" ")
    return read_answer(body, float(seconds), own_address)


def read_answer(body: str, seconds: float, own_address: str) -> Answer:
    """A body that came after so many seconds, to the address that it was asked from."""
    told = _parse_echo(body)
    return Answer(
        milliseconds=round(seconds * 1000, 1),
        own_address=own_address,
        pod=str(told.get("pod", "")),
        node=str(told.get("node", "")),
        seen_address=str(told["client"]["address"]) if told else "",
        text="" if told else body.strip().partition("\n")[0][:_SHOWN],
    )


def _parse_echo(body: str) -> dict[str, Any]:
    """The echo's own words; empty for an answer that is not from an echo."""
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    is_echo = isinstance(told, dict) and isinstance(told.get("client"), dict)
    return told if is_echo and {"pod", "node"} <= told.keys() else {}
