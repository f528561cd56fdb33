"""The scheduler: finds a node for every pod that has none, or says why there is none.

How a node is chosen, `placement` says. A pod that cannot be placed is tried again when something
has changed that could help it: a node came or became free, or another pod went.
"""

from __future__ import annotations

from labkit.apiserver import binding, conditions, timestamps, watching
from labkit.apiserver.controllers import controller, placement, recorder
from labkit.apiserver.kinds import pods
from labkit.model import resources

COMPONENT = "default-scheduler"
#: By this name it writes.
MANAGER = "kube-scheduler"


class Controller(controller.Controller):
    """Binds pending pods, as they come and as nodes change."""

    def __init__(self, objects: controller.Cluster) -> None:
        super().__init__(objects)
        self._events = recorder.Recorder(objects, COMPONENT)
        self._store.observe(resources.PODS, self._on_pod)
        self._store.observe(resources.NODES, self._on_node)
        self._retry_all()

    def _retry_all(self) -> None:
        for stored in self._store.list(resources.PODS):
            if _is_waiting(stored.object):
                self._keys.add((stored.namespace, stored.name))

    def _on_pod(self, change: watching.Change) -> None:
        if change.type == "ADDED" and _is_waiting(change.after.object):
            self._keys.add((change.after.namespace, change.after.name))
        elif change.type == "DELETED" or pods.is_finished(change.after.object):
            self._retry_all()

    def _on_node(self, change: watching.Change) -> None:
        """Conditions change nothing for the scheduler; the taints that follow from them do."""
        states = [_schedulability(s.object) if s else None for s in (change.before, change.after)]
        if change.type == "DELETED" or states[0] != states[1]:
            self._retry_all()

    def _sync(self, namespace: str, name: str) -> None:
        stored = self._store.get(resources.PODS, namespace, name)
        if stored is None or not _is_waiting(stored.object):
            return
        pod = stored.object
        cluster = [node.object for node in self._store.list(resources.NODES)]
        others = [other.object for other in self._store.list(resources.PODS) if other is not stored]
        planned = placement.plan_placement(pod, cluster, others)
        if planned.node:
            binding.bind(self._objects, namespace, name, planned.node)
            where = f"Successfully assigned {namespace}/{name} to {planned.node}"
            self._events.record(pod, "Scheduled", where)
        else:
            self._refuse(pod, planned.why)

    def _refuse(self, pod: resources.Object, why: str) -> None:
        meta = pod["metadata"]

        def mark(old: resources.Object) -> resources.Object:
            now = timestamps.render(self._objects.clock())
            conditions.set_condition(
                old, "PodScheduled", "False", now=now, reason="Unschedulable", message=why
            )
            return old

        self._objects.update(pods.KIND, meta["namespace"], meta["name"], mark, subresource="status")
        self._events.record(pod, "FailedScheduling", why, warning=True)


def _is_waiting(pod: resources.Object) -> bool:
    """Not placed, not ending, and meant for this scheduler."""
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and not pod["metadata"].get("deletionTimestamp")
        and not pods.is_finished(pod)
        and spec.get("schedulerName", COMPONENT) == COMPONENT
    )


def _schedulability(node: resources.Object) -> tuple[object, ...]:
    """What a placement depends on."""
    spec = node.get("spec", {})
    return (
        spec.get("unschedulable", False),
        spec.get("taints"),
        node["metadata"].get("labels"),
        node.get("status", {}).get("allocatable"),
    )
