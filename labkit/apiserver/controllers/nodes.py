"""The node lifecycle: a node that is no longer heard from is not ready, and says so to everybody.

Each kubelet renews its node's Lease; that is its heartbeat, and so is a status that it writes.
When none has come for 40 seconds nobody knows whether the node still runs. Then

    its conditions become Unknown     `kubectl get nodes` says NotReady
    it is tainted as unreachable      no pod goes there, and those that run there may have to go:
                                      see `eviction`
    its pods become not ready         and so leave the endpoints of every Service

It is the arrival of heartbeats that counts, by this server's own clock: the nodes' clocks may
differ, and after a restart of the server every node gets its 40 seconds anew.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable

from labkit.apiserver import conditions, timestamps, watching
from labkit.apiserver.controllers import controller, recorder
from labkit.apiserver.kinds import nodes, pods
from labkit.model import resources

GRACE_S = 40.0
COMPONENT = "node-controller"
LEASE_NAMESPACE = "kube-node-lease"
_REASON = "NodeStatusUnknown"
_MESSAGE = "Kubelet stopped posting node status."
#: The taints that say what a node's Ready condition says, by that condition's status.
_TAINTS = {"False": nodes.NOT_READY, "Unknown": nodes.UNREACHABLE}

# --- deciding ------------------------------------------------------------------------------------


def plan_lost(node: resources.Object, now: str) -> resources.Object:
    """The node with every condition that it reported made Unknown, and Ready in any case."""
    lost: resources.Object = copy.deepcopy(node)
    reported = lost.get("status", {}).get("conditions") or []
    for name in ["Ready", *(found["type"] for found in reported if found["type"] != "Ready")]:
        conditions.set_condition(lost, name, "Unknown", now=now, reason=_REASON, message=_MESSAGE)
    return lost


def plan_taints(node: resources.Object, now: str) -> list[resources.Object]:
    """The taints that a node should have: those of other people, and those that tell its state."""
    spec = node.get("spec", {})
    ours = (nodes.NOT_READY, nodes.UNREACHABLE, nodes.UNSCHEDULABLE)
    held = {(taint.get("key"), taint.get("effect")): taint for taint in spec.get("taints") or []}
    wanted = [(nodes.UNSCHEDULABLE, "NoSchedule")] if spec.get("unschedulable") else []
    if key := _TAINTS.get(conditions.find_condition(node, "Ready").get("status") or "False"):
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    others = [taint for taint in spec.get("taints") or [] if taint.get("key") not in ours]
    return others + [
        held.get(each) or {"key": each[0], "effect": each[1], "timeAdded": now} for each in wanted
    ]


def is_lost(node: resources.Object) -> bool:
    return conditions.find_condition(node, "Ready").get("status") == "Unknown"


def is_heartbeat(before: resources.Object, after: resources.Object) -> bool:
    """True for a status by the node itself; a person's label is no sign of its life."""
    states = [conditions.find_condition(node, "Ready") for node in (before, after)]
    times = [state.get("lastHeartbeatTime") for state in states]
    return not is_lost(after) and (times[0] != times[1] or is_lost(before))


def is_renewal(change: watching.Change) -> bool:
    """True when a node's lease has just been made, or renewed."""
    if change.type == "DELETED" or change.after.namespace != LEASE_NAMESPACE:
        return False
    states = [stored.object if stored else {} for stored in (change.before, change.after)]
    renewed = [state.get("spec", {}).get("renewTime") for state in states]
    return bool(renewed[0] != renewed[1])


# --- acting --------------------------------------------------------------------------------------


class Controller(controller.Controller):
    """Notices silence, and keeps what follows from a node's state as it should be."""

    def __init__(
        self,
        objects: controller.Cluster,
        grace_s: float = GRACE_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`clock` is monotonic; the event loop's own without it."""
        super().__init__(objects)
        self._grace_s = grace_s
        self._clock = clock or asyncio.get_running_loop().time
        self._events = recorder.Recorder(objects, COMPONENT)
        self._heard: dict[str, float] = {}
        #: What was last told of each node: whether it is ready.
        self._ready: dict[str, bool] = {}
        for stored in self._store.list(resources.NODES):
            self._heard[stored.name] = self._clock()
            self._ready[stored.name] = nodes.is_ready(stored.object)
        self._store.observe(resources.NODES, self._on_node)
        self._store.observe(resources.LEASES, self._on_lease)
        self._follow(resources.NODES)

    def _on_node(self, change: watching.Change) -> None:
        name = change.after.name
        if change.type == "DELETED":
            self._heard.pop(name, None)
            self._ready.pop(name, None)
            return
        before = change.before.object if change.before else {}
        if name not in self._heard or is_heartbeat(before, change.after.object):
            self._heard[name] = self._clock()

    def _on_lease(self, change: watching.Change) -> None:
        if change.after.name in self._heard and is_renewal(change):
            self._heard[change.after.name] = self._clock()

    async def run(self) -> None:
        """Look at each node when something about it changes, and when it could be lost."""
        watchman = asyncio.ensure_future(self._watch_for_silence())
        try:
            await super().run()
        finally:
            watchman.cancel()

    async def _watch_for_silence(self) -> None:
        while True:
            self._keys.update(("", name) for name in self.overdue())
            await asyncio.sleep(self._pause_s())

    def overdue(self) -> list[str]:
        """Nodes that have been silent for too long, and are not known to be lost."""
        limit = self._clock() - self._grace_s
        return [name for name in self._believed() if self._heard[name] <= limit]

    def _believed(self) -> list[str]:
        """Nodes that are not known to be lost."""
        found = ((name, self._store.get(resources.NODES, "", name)) for name in self._heard)
        return [name for name, stored in found if stored and not is_lost(stored.object)]

    def _pause_s(self) -> float:
        """Seconds until the next node can be overdue: whoever is heard now has the whole grace."""
        now = self._clock()
        left = (self._heard[name] + self._grace_s - now for name in self._believed())
        return min((wait for wait in left if wait > 0), default=self._grace_s)

    # --- one node --------------------------------------------------------------------------------

    def _sync(self, _: str, name: str) -> None:
        found = self._store.get(resources.NODES, "", name)
        if found is None:
            return
        now = timestamps.render(self._objects.clock())
        if name in self.overdue():
            lost = plan_lost(found.object, now)
            found = self._objects.update(nodes.KIND, "", name, lambda _: lost, subresource="status")
        if plan_taints(found.object, now) != (found.object["spec"].get("taints") or []):
            found = self._objects.update(nodes.KIND, "", name, lambda old: _taint(old, now))
        self._tell(found.object)
        if is_lost(found.object):
            self._doubt_all(name)

    def _tell(self, node: resources.Object) -> None:
        name, ready = node["metadata"]["name"], nodes.is_ready(node)
        before = self._ready.get(name)
        self._ready[name] = ready
        if before is None:
            about = f"Node {name} event: Registered Node {name} in Controller"
            self._events.record(node, "RegisteredNode", about)
        elif before != ready:
            reason = "NodeReady" if ready else "NodeNotReady"
            self._events.record(node, reason, f"Node {name} status is now: {reason}")

    def _doubt_all(self, name: str) -> None:
        """Take the pods of a lost node out of service."""
        for stored in list(self._store.list(resources.PODS)):
            if stored.object["spec"].get("nodeName") == name:
                self._doubt(stored)

    def _doubt(self, pod: watching.Stored) -> None:
        """The kubelet that comes back says better."""
        if conditions.find_condition(pod.object, "Ready").get("status") != "True":
            return

        def doubt(old: resources.Object) -> resources.Object:
            now = timestamps.render(self._objects.clock())
            conditions.set_condition(old, "Ready", "False", now=now)
            return old

        self._objects.update(pods.KIND, pod.namespace, pod.name, doubt, subresource="status")
        self._events.record(pod.object, "NodeNotReady", "Node is not ready", warning=True)


def _taint(node: resources.Object, now: str) -> resources.Object:
    planned = plan_taints(node, now)
    spec = {field: value for field, value in node["spec"].items() if field != "taints"}
    return {**node, "spec": {**spec, **({"taints": planned} if planned else {})}}
