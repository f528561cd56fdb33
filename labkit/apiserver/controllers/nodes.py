"""The node lifecycle: a node that is no longer heard from is not ready.

Each podlet renews its Node's status; that is its heartbeat. When none has come for 40 seconds,
nobody knows whether the node still runs, and its conditions become Unknown. It is the arrival of
heartbeats that counts, by this server's own clock: the nodes' clocks may differ, and after a
restart of the server every node gets its 40 seconds anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from labkit.apiserver import conditions, registry, timestamps, watching
from labkit.apiserver.controllers import recorder
from labkit.apiserver.kinds import nodes
from labkit.model import resources

GRACE_S = 40.0
COMPONENT = "node-controller"
_REASON = "NodeStatusUnknown"
_MESSAGE = "Kubelet stopped posting node status."


def plan_lost(node: resources.Object, now: str) -> resources.Object:
    """The node with every condition that it reported made Unknown, and Ready in any case."""
    lost: resources.Object = json.loads(json.dumps(node))
    reported = lost.get("status", {}).get("conditions") or []
    for name in ["Ready", *(found["type"] for found in reported if found["type"] != "Ready")]:
        conditions.set_condition(lost, name, "Unknown", now=now, reason=_REASON, message=_MESSAGE)
    return lost


def is_lost(node: resources.Object) -> bool:
    return conditions.find_condition(node, "Ready").get("status") == "Unknown"


def is_heartbeat(before: resources.Object, after: resources.Object) -> bool:
    """True for a write by the node itself; a person's label is no sign of its life."""
    states = [conditions.find_condition(node, "Ready") for node in (before, after)]
    times = [state.get("lastHeartbeatTime") for state in states]
    return not is_lost(after) and (times[0] != times[1] or is_lost(before))


class Controller:
    """Notices silence."""

    def __init__(
        self, objects: registry.Registry, clock: Callable[[], float] | None = None
    ) -> None:
        """`clock` is monotonic; the event loop's own without it."""
        self._objects = objects
        self._clock = clock or asyncio.get_running_loop().time
        self._events = recorder.Recorder(objects, COMPONENT)
        self._changed = asyncio.Event()
        #: Nodes that have become ready, or have ceased to be.
        self._news: list[resources.Object] = []
        self._heard: dict[str, float] = {
            stored.name: self._clock() for stored in objects.store.list(resources.NODES)
        }
        objects.store.observe(resources.NODES, self._on_node)

    def _on_node(self, change: watching.Change) -> None:
        name = change.after.name
        if change.type == "DELETED":
            self._heard.pop(name, None)
            return
        before = change.before.object if change.before else {}
        if name not in self._heard or is_heartbeat(before, change.after.object):
            self._heard[name] = self._clock()
        if nodes.is_ready(before) != nodes.is_ready(change.after.object):
            self._news.append(change.after.object)
        self._changed.set()

    def _tell(self, node: resources.Object) -> None:
        reason = "NodeReady" if nodes.is_ready(node) else "NodeNotReady"
        name = node["metadata"]["name"]
        self._events.record(node, reason, f"Node {name} status is now: {reason}")

    async def run(self) -> None:
        """Sleep until the next node could be lost, or until something is heard."""
        while True:
            while self._news:
                self._tell(self._news.pop(0))
            for name in self.overdue():
                self._give_up(name)
            self._changed.clear()
            try:
                async with asyncio.timeout(self._next_deadline()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def overdue(self) -> list[str]:
        """Nodes that have been silent for too long, and are not known to be lost."""
        limit = self._clock() - GRACE_S
        return [
            name
            for name, heard in self._heard.items()
            if heard <= limit and not is_lost(self._objects.get(nodes.KIND, "", name).object)
        ]

    def _next_deadline(self) -> float | None:
        """Seconds until the next node is overdue; None while there is none to wait for."""
        alive = [
            heard
            for name, heard in self._heard.items()
            if not is_lost(self._objects.get(nodes.KIND, "", name).object)
        ]
        return max(min(alive) + GRACE_S - self._clock(), 0) if alive else None

    def _give_up(self, name: str) -> None:
        now = timestamps.render(self._objects.clock())
        self._objects.update(
            nodes.KIND, "", name, lambda old: plan_lost(old, now), subresource="status"
        )
