"""The replicaset controller: as many pods as a ReplicaSet asks for, no more and no fewer.

It counts the pods that it controls and that are not on their way out. What is missing it makes from
the template; of what is too much it takes the pods that will be missed least. A pod with fitting
labels and no controller is adopted; one whose labels no longer fit is let go, and replaced: so a
person can take a pod out of service, and look at it, by changing a label.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from labkit import errors
from labkit.apiserver import conditions, metadata, registry, selectors, timestamps, watching
from labkit.apiserver.controllers import controller, keys, recorder
from labkit.apiserver.kinds import pods, replicasets, workloads
from labkit.model import resources

COMPONENT = "replicaset-controller"

# --- deciding ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and what to report."""

    status: resources.Object
    create: int = 0
    delete: tuple[resources.Object, ...] = ()
    adopt: tuple[resources.Object, ...] = ()
    release: tuple[resources.Object, ...] = ()
    #: Seconds until a pod that is ready becomes available; 0 when there is none to wait for.
    again_s: float = 0


def plan_replicas(
    obj: resources.Object, candidates: Iterable[resources.Object], now: float
) -> Plan:
    """What a ReplicaSet needs, given the pods of its namespace."""
    selector, uid = workloads.selector_of(obj), obj["metadata"]["uid"]
    mine: list[resources.Object] = []
    adopt: list[resources.Object] = []
    release: list[resources.Object] = []
    for pod in candidates:
        owner = metadata.controller_of(pod).get("uid")
        fits = selectors.match_labels(selector, pod["metadata"].get("labels"))
        if owner == uid:
            (mine if fits else release).append(pod)
        elif not owner and fits and _is_active(pod) and not _is_ending(obj):
            adopt.append(pod)
    active = [pod for pod in (*mine, *adopt) if _is_active(pod)]
    missing = 0 if _is_ending(obj) else obj["spec"]["replicas"] - len(active)
    surplus = sorted(active, key=_worth)[: max(-missing, 0)] if not _is_ending(obj) else []
    waits = [wait for pod in active if (wait := _wait_s(obj, pod, now)) is not None]
    return Plan(
        _plan_status(obj, active, waits),
        max(missing, 0),
        tuple(surplus),
        tuple(adopt),
        tuple(release),
        min((wait for wait in waits if wait > 0), default=0),
    )


def _is_ending(obj: resources.Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def _is_active(pod: resources.Object) -> bool:
    return not pods.is_finished(pod) and not _is_ending(pod)


def _is_ready(pod: resources.Object) -> bool:
    return conditions.find_condition(pod, "Ready").get("status") == "True"


def _worth(pod: resources.Object) -> tuple[bool, bool, bool, float]:
    """Least first: without a node, not running, not ready, and of equals the youngest."""
    age = -timestamps.parse(pod["metadata"]["creationTimestamp"])
    running = pod.get("status", {}).get("phase") == "Running"
    return bool(pod["spec"].get("nodeName")), running, _is_ready(pod), age


def _wait_s(obj: resources.Object, pod: resources.Object, now: float) -> float | None:
    """Seconds until a ready pod counts as available; None for one that is not ready."""
    if not _is_ready(pod):
        return None
    since = conditions.find_condition(pod, "Ready").get("lastTransitionTime")
    minimum = float(obj["spec"].get("minReadySeconds", 0))
    return max(timestamps.parse(since) + minimum - now, 0) if since and minimum else 0.0


def _plan_status(
    obj: resources.Object, active: Sequence[resources.Object], waits: Sequence[float]
) -> resources.Object:
    labels = obj["spec"]["template"].get("metadata", {}).get("labels") or {}
    full = [pod for pod in active if selectors.equal_labels(labels, pod["metadata"].get("labels"))]
    numbers = {
        "fullyLabeledReplicas": len(full),
        "readyReplicas": len(waits),
        "availableReplicas": sum(wait == 0 for wait in waits),
    }
    return {
        "replicas": len(active),
        **{field: number for field, number in numbers.items() if number},
        "observedGeneration": obj["metadata"]["generation"],
    }


def plan_pod(obj: resources.Object) -> resources.Object:
    """One more pod of the template."""
    template = copy.deepcopy(obj["spec"]["template"])
    meta = template.get("metadata", {})
    kept = {
        field: meta[field] for field in ("labels", "annotations", "finalizers") if field in meta
    }
    return {
        "metadata": {
            **kept,
            "generateName": f"{obj['metadata']['name']}-",
            "ownerReferences": [metadata.refer_to_owner(obj)],
        },
        "spec": template["spec"],
    }


# --- acting --------------------------------------------------------------------------------------


class Controller(controller.Controller):
    """Keeps every ReplicaSet's pods as planned."""

    def __init__(self, objects: controller.Cluster) -> None:
        super().__init__(objects)
        self._events = recorder.Recorder(objects, COMPONENT)
        self._store.observe(resources.PODS, self._on_pod)
        self._follow(resources.REPLICA_SETS)

    def _on_pod(self, change: watching.Change) -> None:
        """Those who control the pod, or did; for a pod without a controller, those who could."""
        namespace = change.after.namespace
        for stored in (change.before, change.after):
            owner = metadata.controller_of(stored.object) if stored else {}
            if owner.get("kind") == resources.REPLICA_SETS.kind:
                self._keys.add((namespace, owner["name"]))
        if not metadata.controller_of(change.after.object):
            self._keys.update(self._fitting(change.after.object))

    def _fitting(self, pod: resources.Object) -> Iterator[keys.Key]:
        labels = pod["metadata"].get("labels")
        for stored in self._store.list(resources.REPLICA_SETS, pod["metadata"]["namespace"]):
            if selectors.match_labels(workloads.selector_of(stored.object), labels):
                yield stored.namespace, stored.name

    def _sync(self, namespace: str, name: str) -> None:
        found = self._store.get(resources.REPLICA_SETS, namespace, name)
        if found is None:
            return
        obj = found.object
        candidates = [stored.object for stored in self._store.list(resources.PODS, namespace)]
        plan = plan_replicas(obj, candidates, self._objects.clock())
        self._report(obj, plan.status)
        for pod in plan.adopt:
            self._set_owners(pod, [metadata.refer_to_owner(obj)])
        for pod in plan.release:
            self._set_owners(pod, [])
        for pod in plan.delete:
            self._delete(obj, pod)
        for _ in range(plan.create):
            if not self._create(obj):
                break
        if plan.again_s:
            loop = asyncio.get_running_loop()
            loop.call_later(plan.again_s, self._keys.add, (namespace, name))

    def _report(self, obj: resources.Object, planned: resources.Object) -> None:
        meta = obj["metadata"]
        self._objects.update(
            replicasets.KIND,
            meta["namespace"],
            meta["name"],
            lambda old: {**old, "status": planned},
            subresource="status",
        )

    def _set_owners(self, pod: resources.Object, controllers: list[resources.Object]) -> None:
        meta = pod["metadata"]

        def change(old: resources.Object) -> resources.Object:
            others = [
                o for o in old["metadata"].get("ownerReferences") or [] if not o.get("controller")
            ]
            old["metadata"]["ownerReferences"] = others + controllers
            return old

        self._objects.update(pods.KIND, meta["namespace"], meta["name"], change)

    def _delete(self, obj: resources.Object, pod: resources.Object) -> None:
        meta = pod["metadata"]
        self._objects.delete(
            pods.KIND, meta["namespace"], meta["name"], registry.DeleteOptions(uid=meta["uid"])
        )
        self._events.record(obj, "SuccessfulDelete", f"Deleted pod: {meta['name']}")

    def _create(self, obj: resources.Object) -> bool:
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        try:
            made = self._objects.create(pods.KIND, namespace, plan_pod(obj))
        except errors.ApiError as error:
            self._events.record(obj, "FailedCreate", f"Error creating: {error}", warning=True)
            asyncio.get_running_loop().call_later(keys.RETRY_S, self._keys.add, (namespace, name))
            return False
        self._events.record(obj, "SuccessfulCreate", f"Created pod: {made.name}")
        return True
