"""One connection to a Service, held open: who answers on it, and how it ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit import errors
from labkit.inspection import answers, collect, scripts, ways
from labkit.inspection.predict import asking
from labkit.inspection.probe import shot
from labkit.model import spec

if TYPE_CHECKING:
    from labkit.client import http

_ENDED = json.dumps({"error": "the program that held the connection has ended"})


class Held:
    """A connection that stays. `source` is the sender's end of it."""

    def __init__(self, planned: shot.Shot, stream: collect.Stream) -> None:
        self.planned = planned
        self._stream = stream
        self._lines = stream.lines()
        told = self._read()
        if "error" in told:
            raise errors.ConnectionFailed(
                f"{planned.sender} gets no connection to {planned.dialled}: {told['error']}",
                hint="`labkit trace` follows such a request to where it ends",
            )
        self.source = str(told["source"])

    def __repr__(self) -> str:
        sender, dialled = self.planned.sender, self.planned.dialled
        return f"{sender} holds {self.source} -> {dialled} ({self.planned.service})"

    def ask(self) -> answers.Answer:
        """One more request over the same connection. A connection that has ended is an answer."""
        self._stream.say("")
        told = self._read()
        if "error" in told:
            return answers.Answer(error=told["error"])
        return answers.read_answer(told["body"], told["seconds"], self.source.partition(":")[0])

    def _read(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(next(self._lines, _ENDED))
        return told


@contextlib.contextmanager
def hold(
    connections: collect.Connections,
    client: http.Client,
    lab: spec.LabSpec,
    request: asking.Request,
) -> Iterator[Held]:
    """Connect, and let go of it in the end.

    Raises NothingMatched and UsageError for what cannot be dialled, or not so; ConnectionFailed
    where nobody takes the connection.
    """
    found = collect.read_objects(client, request.service, request.namespace)
    planned = shot.plan_shot(lab, found, request, 1)
    if planned.protocol != "TCP":
        raise errors.UsageError(
            f"{planned.service} speaks {planned.protocol}, which knows no connections",
            hint="`labkit probe` sends single requests",
        )
    words = (planned.address, str(planned.port), str(ways.TIMEOUT_S))
    argv = planned.within(scripts.argv(Path(__file__).with_name("on_sender.py"), *words))
    with connections.connection(planned.machine).stream(argv) as stream:
        yield Held(planned, stream)
