"""`/debug` on the metrics port: what the agent knows of each connection, and what it has in mind.

    /debug/journal              the records that are kept, as JSON
    /debug/journal?watch=true   the same as a first line, then a line for every event, without end
    /debug/proxy                service ports, rules, rotations, affinity, held ports, UDP flows

Who talks to whom is nobody else's business: only loopback is answered, wherever the port listens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from labkit.agent import conntrack, describe, http, journal, live, sockets, ways

#: The kernel knows of a UDP flow for so long after its last datagram; and a client's port may then
#: be another flow's.
FLOW_S = 30.0

FORBIDDEN = http.Answer("/debug is answered over loopback only: ask 127.0.0.1 on the node\n", 403)
FindDestination = Callable[[journal.Address, journal.Address], journal.Address | None]


class Debug:
    """Answers, made of what there is at the moment of asking."""

    def __init__(
        self,
        node: str,
        book: journal.Journal,
        ports: live.LivePorts,
        around: ways.Surroundings,
        *,
        find_destination: FindDestination = conntrack.find_destination,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._book = book
        self._ports = ports
        self._around = around
        self._find_destination = find_destination
        self._clock = clock

    def answer(self, request: http.Request) -> http.Answer | http.Stream:
        if not request.is_local:
            return FORBIDDEN
        match request.path, request.query:
            case "/debug/journal", "watch=true" | "watch=1":
                return http.Stream(self._subscribe)
            case "/debug/journal", _:
                return _json(self._describe_journal())
            case "/debug/proxy", _:
                return _json(self._describe_proxy())
            case _:
                return http.NOT_FOUND

    def _subscribe(self, push: http.Push) -> Callable[[], None]:
        """First all that is known; nothing can happen between that and the first event."""
        push(_encode({"event": "snapshot", **self._describe_journal()}))

        def on_event(event: journal.Event, record: journal.Record) -> None:
            push(_encode(describe.describe_event(event, self._describe(record))))

        return self._book.listen(on_event)

    def _describe_journal(self) -> describe.Json:
        return {
            "node": self._node,
            "now": {"time": describe.render_time(time.time()), "monotonic": self._clock()},
            "kept": journal.KEPT,
            "records": [self._describe(record) for record in self._book],
        }

    def _describe_proxy(self) -> describe.Json:
        ports = list(self._ports)
        return {
            "node": self._node,
            "listeners": [describe.describe_listener(entry) for entry in ports],
            "held": describe.describe_claims(self._ports.held),
            "servicePorts": [describe.describe_port(entry) for entry in ports],
            "udpFlows": [
                self._describe(record)
                for record in self._book.open()
                if record.service_port.protocol == "UDP"
            ],
        }

    def _describe(self, record: journal.Record) -> describe.Json:
        self._look_up(record)
        return describe.describe_record(record, self._around)

    def _look_up(self, record: journal.Record) -> None:
        """What a client asked for. Of a UDP client, connection tracking knows it for a while."""
        if record.asked is not None:
            return
        if record.original:
            record.asked = sockets.parse_address(record.original)
        elif record.arrived_at is not None:
            known_until = (record.ended or self._clock()) + FLOW_S
            if self._clock() < known_until:
                record.asked = self._find_destination(record.arrived_at, record.client)


def _json(value: Any) -> http.Answer:
    return http.Answer(_encode(value) + "\n", content_type="application/json")


def _encode(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
