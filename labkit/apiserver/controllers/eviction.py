"""Eviction by taint: a pod leaves a node whose NoExecute taint it does not tolerate, or no longer.

Every pod tolerates for five minutes that its node is not ready or not reachable: so long a node
may be away before its pods are replaced on others. What is deleted on a silent node stays
Terminating until its kubelet comes back and ends it; its replacement does not wait for that.
"""

from __future__ import annotations

import asyncio

from labkit.apiserver import conditions, registry, timestamps, watching
from labkit.apiserver.controllers import controller, keys, recorder, taints
from labkit.apiserver.kinds import pods
from labkit.model import resources

COMPONENT = "taint-eviction-controller"
_REASON = "DeletionByTaintManager"
_MESSAGE = "Taint manager: deleting due to NoExecute taint"


def plan_stay(pod: resources.Object, node: resources.Object) -> float | None:
    """Seconds until the pod has to go; None for one that may stay, or goes anyhow."""
    if pod["metadata"].get("deletionTimestamp") or pods.is_finished(pod):
        return None
    return taints.stay_s(pod, node)


class Controller(controller.Controller):
    """Deletes pods when their time on a tainted node is over."""

    def __init__(self, objects: controller.Cluster) -> None:
        super().__init__(objects)
        self._events = recorder.Recorder(objects, COMPONENT)
        #: Those whose time runs, by their uid: a namesake has a time of its own.
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._store.observe(resources.NODES, self._on_node)
        self._store.observe(resources.PODS, self._on_end)
        self._follow(resources.PODS)

    def _on_node(self, change: watching.Change) -> None:
        states = [stored.object if stored else {} for stored in (change.before, change.after)]
        before, after = (state.get("spec", {}).get("taints") for state in states)
        if before != after:
            for stored in self._store.list(resources.PODS):
                if stored.object["spec"].get("nodeName") == change.after.name:
                    self._keys.add((stored.namespace, stored.name))

    def _on_end(self, change: watching.Change) -> None:
        if change.type == "DELETED":
            self._stop(change.after.object)

    def _sync(self, namespace: str, name: str) -> None:
        found = self._store.get(resources.PODS, namespace, name)
        node_name = found.object["spec"].get("nodeName", "") if found else ""
        node = self._store.get(resources.NODES, "", node_name)
        if found is None or node is None:
            return
        pod, stay_s = found.object, plan_stay(found.object, node.object)
        if stay_s is None:
            self._spare(pod)
        elif stay_s == 0:
            self._evict(pod)
        elif (uid := pod["metadata"]["uid"]) not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[uid] = loop.call_later(stay_s, self._end_stay, (namespace, name), uid)

    def _end_stay(self, key: keys.Key, uid: str) -> None:
        found = self._store.get(resources.PODS, *key)
        if self._timers.pop(uid, None) and found and found.object["metadata"]["uid"] == uid:
            self._evict(found.object)

    def _stop(self, pod: resources.Object) -> bool:
        timer = self._timers.pop(pod["metadata"]["uid"], None)
        if timer:
            timer.cancel()
        return timer is not None

    def _spare(self, pod: resources.Object) -> None:
        if self._stop(pod) and not pod["metadata"].get("deletionTimestamp"):
            about = f"Cancelling deletion of Pod {resources.name_of(pod)}"
            self._events.record(pod, "TaintManagerEviction", about)

    def _evict(self, pod: resources.Object) -> None:
        self._stop(pod)
        about = f"Marking for deletion Pod {resources.name_of(pod)}"
        self._events.record(pod, "TaintManagerEviction", about)
        disrupt(self._objects, pod, _REASON, _MESSAGE)


def disrupt(
    objects: controller.Cluster,
    pod: resources.Object,
    reason: str,
    message: str,
    grace_s: int | None = None,
) -> None:
    """Delete a pod, and say in its status why: whoever made it learns that it did not fail."""
    meta = pod["metadata"]
    where = (meta["namespace"], meta["name"])

    def mark(old: resources.Object) -> resources.Object:
        now = timestamps.render(objects.clock())
        name = "DisruptionTarget"
        conditions.set_condition(old, name, "True", now=now, reason=reason, message=message)
        return old

    objects.update(pods.KIND, *where, mark, subresource="status")
    objects.delete(pods.KIND, *where, registry.DeleteOptions(grace_s, uid=meta["uid"]))
