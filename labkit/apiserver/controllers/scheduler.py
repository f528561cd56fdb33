"""The scheduler: finds a node for every pod that has none, or says why there is none.

First the nodes that cannot take the pod are left out, each for a reason; then, of those left, the
one wins that runs the fewest pods of the same sort, and of those the one that runs the fewest at
all. So the replicas of one application spread over the nodes, which is what a lab on Services
wants to show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labkit.apiserver import binding, conditions, selectors, timestamps, watching
from labkit.apiserver.controllers import controller, recorder
from labkit.apiserver.kinds import nodes, pods
from labkit.model import resources

COMPONENT = "default-scheduler"

# --- deciding ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a pod goes; or, where `node` is empty, why it cannot go anywhere."""

    node: str = ""
    why: str = ""


def plan_placement(
    pod: resources.Object,
    cluster: Sequence[resources.Object],
    others: Iterable[resources.Object],
) -> Placement:
    """Choose a node of the cluster for `pod`, given the other pods."""
    refusals = {node["metadata"]["name"]: explain_refusal(pod, node) for node in cluster}
    possible = [name for name, why in refusals.items() if not why]
    if not possible:
        return Placement(why=_summarise(list(refusals.values())))
    placed = [other for other in others if not pods.is_finished(other)]
    total = Counter(other["spec"].get("nodeName", "") for other in placed)
    same = Counter(other["spec"].get("nodeName", "") for other in placed if _alike(pod, other))
    return Placement(min(possible, key=lambda name: (same[name], total[name], name)))


def _summarise(refusals: Sequence[str]) -> str:
    """`0/3 nodes are available: 1 node(s) ..., 2 node(s) ....`: Kubernetes' own sentence."""
    if not refusals:
        return "no nodes available to schedule pods"
    counted = Counter(refusals)
    listed = ", ".join(f"{counted[why]} node(s) {why}" for why in sorted(counted))
    return f"0/{len(refusals)} nodes are available: {listed}."


def explain_refusal(pod: resources.Object, node: resources.Object) -> str:
    """Why a node cannot take a pod; empty when it can."""
    spec = node.get("spec", {})
    if spec.get("unschedulable"):
        return "were unschedulable"
    if not nodes.is_ready(node):
        return "were not ready"
    for taint in spec.get("taints") or []:
        if taint.get("effect") != "PreferNoSchedule" and not _tolerates(pod, taint):
            value = taint.get("value", "")
            return f"had untolerated taint {{{taint.get('key', '')}: {value}}}"
    wanted = pod["spec"].get("nodeSelector") or {}
    if not selectors.equal_labels(wanted, node["metadata"].get("labels")):
        return "didn't match Pod's node affinity/selector"
    return ""


def _tolerates(pod: resources.Object, taint: resources.Object) -> bool:
    return any(_covers(toleration, taint) for toleration in pod["spec"].get("tolerations") or [])


def _covers(toleration: resources.Object, taint: resources.Object) -> bool:
    """Empty means any: an empty effect all effects, an empty key (with Exists) all keys."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or toleration.get("value", "") == taint.get("value", "")


def _alike(pod: resources.Object, other: resources.Object) -> bool:
    """Of the same owner; or, without one, with the same labels."""
    meta, found = pod["metadata"], other["metadata"]
    if meta.get("namespace") != found.get("namespace"):
        return False
    owner = _owner(meta)
    return owner == _owner(found) if owner else meta.get("labels") == found.get("labels")


def _owner(meta: resources.Object) -> str:
    owners = meta.get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


# --- acting --------------------------------------------------------------------------------------


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

    def _on_node(self, change: watching.Change) -> None:
        """A heartbeat changes nothing for the scheduler; labels, taints and readiness do."""
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
        placement = plan_placement(pod, cluster, others)
        if placement.node:
            binding.bind(self._objects, namespace, name, placement.node)
            where = f"Successfully assigned {namespace}/{name} to {placement.node}"
            self._events.record(pod, "Scheduled", where)
        else:
            self._refuse(pod, placement.why)

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
        nodes.is_ready(node),
        spec.get("unschedulable", False),
        spec.get("taints"),
        node["metadata"].get("labels"),
    )
