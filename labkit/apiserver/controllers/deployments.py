"""The deployment controller: makes ReplicaSets, and moves the replicas from the old to the new.

What the next step is, `rollout` says; here it is taken. The pods are the ReplicaSets' business.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence

from labkit import errors
from labkit.apiserver import metadata, registry, selectors, watching
from labkit.apiserver.controllers import controller, keys, recorder, rollout
from labkit.apiserver.kinds import deployments, pods, replicasets, workloads
from labkit.model import resources

COMPONENT = "deployment-controller"
#: Annotations of a Deployment that are about itself, and not for its ReplicaSets.
_OWN = ("kubectl.kubernetes.io/last-applied-configuration", rollout.REVISION)


def plan_set(
    deployment: resources.Object, old: Sequence[resources.Object], revision: int
) -> resources.Object:
    """The ReplicaSet of a template that none has yet."""
    meta, spec = deployment["metadata"], deployment["spec"]
    collisions = deployment.get("status", {}).get("collisionCount", 0)
    digest = rollout.template_hash(spec["template"], collisions)
    template, selector = copy.deepcopy(spec["template"]), copy.deepcopy(spec["selector"])
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[rollout.HASH_LABEL] = digest
    selector.setdefault("matchLabels", {})[rollout.HASH_LABEL] = digest
    count = sum(map(rollout.replicas_of, old))
    return {
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "labels": dict(labels),
            "annotations": annotate(deployment, revision),
            "ownerReferences": [metadata.refer_to_owner(deployment)],
        },
        "spec": {
            "replicas": rollout.plan_new(deployment, 0, count),
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": selector,
            "template": template,
        },
    }


def annotate(deployment: resources.Object, revision: int) -> dict[str, str]:
    """What a ReplicaSet keeps of its Deployment: `kubectl rollout history` reads it."""
    own = deployment["metadata"].get("annotations") or {}
    kept = {name: value for name, value in own.items() if name not in _OWN}
    wanted = deployment["spec"]["replicas"]
    return {
        **kept,
        rollout.REVISION: str(revision),
        rollout.DESIRED: str(wanted),
        rollout.MAXIMUM: str(wanted + rollout.limits(deployment)[0]),
    }


class Controller(controller.Controller):
    """Takes every Deployment one step further, whenever something about it has changed."""

    def __init__(self, objects: controller.Cluster) -> None:
        super().__init__(objects)
        self._events = recorder.Recorder(objects, COMPONENT)
        #: When to see whether a Deployment has moved at all.
        self._timers: dict[keys.Key, asyncio.TimerHandle] = {}
        self._store.observe(resources.REPLICA_SETS, self._on_replica_set)
        self._store.observe(resources.PODS, self._on_pod)
        self._follow(resources.DEPLOYMENTS)

    def _on_replica_set(self, change: watching.Change) -> None:
        owner = metadata.controller_of(change.after.object)
        if owner.get("kind") == resources.DEPLOYMENTS.kind:
            self._keys.add((change.after.namespace, owner["name"]))

    def _on_pod(self, change: watching.Change) -> None:
        """A pod that is gone may be what a Recreate waits for."""
        owner = metadata.controller_of(change.after.object)
        if change.type != "DELETED" or owner.get("kind") != resources.REPLICA_SETS.kind:
            return
        namespace = change.after.namespace
        found = self._store.get(resources.REPLICA_SETS, namespace, owner["name"])
        above = metadata.controller_of(found.object) if found else {}
        if above.get("kind") == resources.DEPLOYMENTS.kind:
            self._keys.add((namespace, above["name"]))

    # --- one step --------------------------------------------------------------------------------

    def _sync(self, namespace: str, name: str) -> None:
        found = self._store.get(resources.DEPLOYMENTS, namespace, name)
        if found is None:
            return
        deployment = found.object
        sets = self._own_sets(deployment)
        new = rollout.find_new(deployment, sets)
        if not deployment["metadata"].get("deletionTimestamp"):
            new = self._step(deployment, new, sets)
            sets = self._own_sets(deployment)
        self._report(deployment, new, sets)

    def _own_sets(self, deployment: resources.Object) -> list[resources.Object]:
        """Its ReplicaSets, the oldest revision first; those without an owner are adopted."""
        selector, uid = workloads.selector_of(deployment), deployment["metadata"]["uid"]
        namespace = deployment["metadata"]["namespace"]
        mine = []
        for stored in list(self._store.list(resources.REPLICA_SETS, namespace)):
            owner = metadata.controller_of(stored.object).get("uid")
            labels = stored.object["spec"]["template"].get("metadata", {}).get("labels")
            if not owner and selectors.match_labels(selector, labels):
                mine.append(self._adopt(deployment, stored))
            elif owner == uid:
                mine.append(stored.object)
        return sorted(mine, key=rollout.revision_of)

    def _adopt(self, deployment: resources.Object, stored: watching.Stored) -> resources.Object:
        def adopt(old: resources.Object) -> resources.Object:
            owners = old["metadata"].get("ownerReferences") or []
            old["metadata"]["ownerReferences"] = [*owners, metadata.refer_to_owner(deployment)]
            return old

        kind = replicasets.KIND
        return self._objects.update(kind, stored.namespace, stored.name, adopt).object

    def _step(
        self,
        deployment: resources.Object,
        new: resources.Object | None,
        sets: Sequence[resources.Object],
    ) -> resources.Object | None:
        old = [found for found in sets if found is not new]
        if deployment["spec"].get("paused") or rollout.is_scaled(deployment, sets):
            self._scale_all(deployment, sets)
            return new
        revision = max((rollout.revision_of(found) for found in old), default=0) + 1
        if new is None:
            new = self._create(deployment, old, revision)
            if new is None:
                return None
        else:
            new = self._grow(deployment, new, old, max(revision, rollout.revision_of(new)))
        self._mark(deployment, rollout.revision_of(new))
        by_name = {found["metadata"]["name"]: found for found in old}
        for name, number in rollout.plan_old(deployment, new, old).items():
            self._scale(deployment, by_name[name], number)
        if rollout.is_complete(deployment):
            self._forget(deployment, old)
        return new

    def _create(
        self, deployment: resources.Object, old: Sequence[resources.Object], revision: int
    ) -> resources.Object | None:
        namespace = deployment["metadata"]["namespace"]
        planned = plan_set(deployment, old, revision)
        name, replicas = planned["metadata"]["name"], planned["spec"]["replicas"]
        try:
            made = self._objects.create(replicasets.KIND, namespace, planned).object
        except errors.Conflict:
            self._collide(deployment)
            return None
        if replicas:
            self._tell(deployment, name, 0, replicas)
        return made

    def _collide(self, deployment: resources.Object) -> None:
        """Somebody else's ReplicaSet has the name: count that, so that the next name differs."""

        def count(old: resources.Object) -> resources.Object:
            state = old.setdefault("status", {})
            state["collisionCount"] = state.get("collisionCount", 0) + 1
            return old

        meta = deployment["metadata"]
        where = (meta["namespace"], meta["name"])
        self._objects.update(deployments.KIND, *where, count, subresource="status")

    def _grow(
        self,
        deployment: resources.Object,
        new: resources.Object,
        old: Sequence[resources.Object],
        revision: int,
    ) -> resources.Object:
        held = rollout.replicas_of(new)
        count = sum(map(rollout.replicas_of, old)) + self._lingering(deployment, old)
        number = rollout.plan_new(deployment, held, count)
        minimum = deployment["spec"].get("minReadySeconds", 0)

        def grow(obj: resources.Object) -> resources.Object:
            notes = obj["metadata"].get("annotations") or {}
            obj["metadata"]["annotations"] = {**notes, **annotate(deployment, revision)}
            obj["spec"] |= {"replicas": number, "minReadySeconds": minimum}
            return obj

        meta = new["metadata"]
        grown = self._objects.update(replicasets.KIND, meta["namespace"], meta["name"], grow)
        if number != held:
            self._tell(deployment, meta["name"], held, number)
        return grown.object

    def _lingering(self, deployment: resources.Object, old: Sequence[resources.Object]) -> int:
        """For Recreate: the pods of old ReplicaSets that have not ended yet."""
        if deployment["spec"]["strategy"]["type"] != "Recreate":
            return 0
        owners = {found["metadata"]["uid"] for found in old}
        everything = self._store.list(resources.PODS, deployment["metadata"]["namespace"])
        return sum(
            metadata.controller_of(stored.object).get("uid") in owners
            and not pods.is_finished(stored.object)
            for stored in everything
        )

    def _scale_all(self, deployment: resources.Object, sets: Sequence[resources.Object]) -> None:
        """A new number of replicas is not a rollout's business: a paused one follows it, too.

        Every ReplicaSet notes the number, so that the rollout goes on from there.
        """
        planned = rollout.plan_scale(deployment, sets)
        for found in sets:
            held = rollout.replicas_of(found)
            number = planned.get(found["metadata"]["name"], held)
            if held or number:
                self._scale(deployment, found, number)

    def _scale(self, deployment: resources.Object, found: resources.Object, number: int) -> None:
        held, meta = rollout.replicas_of(found), found["metadata"]
        numbers = annotate(deployment, 0)

        def scale(obj: resources.Object) -> resources.Object:
            obj["spec"]["replicas"] = number
            notes = obj["metadata"].setdefault("annotations", {})
            notes |= {name: numbers[name] for name in (rollout.DESIRED, rollout.MAXIMUM)}
            return obj

        self._objects.update(replicasets.KIND, meta["namespace"], meta["name"], scale)
        if number != held:
            self._tell(deployment, meta["name"], held, number)

    def _tell(self, deployment: resources.Object, name: str, held: int, number: int) -> None:
        way = "up" if number > held else "down"
        message = f"Scaled {way} replica set {name} from {held} to {number}"
        self._events.record(deployment, "ScalingReplicaSet", message)

    def _mark(self, deployment: resources.Object, revision: int) -> None:
        """Write the revision beside the template that it is of."""

        def mark(obj: resources.Object) -> resources.Object:
            obj["metadata"].setdefault("annotations", {})[rollout.REVISION] = str(revision)
            return obj

        meta = deployment["metadata"]
        self._objects.update(deployments.KIND, meta["namespace"], meta["name"], mark)

    def _forget(self, deployment: resources.Object, old: Sequence[resources.Object]) -> None:
        """Delete the oldest of those that have nothing left, beyond revisionHistoryLimit."""
        empty = [
            found
            for found in old
            if not rollout.replicas_of(found) and not rollout.count([found], "replicas")
        ]
        for found in empty[: max(len(empty) - deployment["spec"]["revisionHistoryLimit"], 0)]:
            meta = found["metadata"]
            options = registry.DeleteOptions(uid=meta["uid"])
            self._objects.delete(replicasets.KIND, meta["namespace"], meta["name"], options)

    # --- status ----------------------------------------------------------------------------------

    def _report(
        self,
        deployment: resources.Object,
        new: resources.Object | None,
        sets: Sequence[resources.Object],
    ) -> None:
        meta, now = deployment["metadata"], self._objects.clock()

        def report(old: resources.Object) -> resources.Object:
            planned = rollout.plan_status({**deployment, "status": old["status"]}, new, sets, now)
            return {**old, "status": planned}

        key = (meta["namespace"], meta["name"])
        after = self._objects.update(deployments.KIND, *key, report, subresource="status").object
        waiting = not deployment["spec"].get("paused") and not rollout.is_complete(after)
        if waiting and (left := rollout.deadline_of(after) - now) > 0:
            self._look_again(key, left)

    def _look_again(self, key: keys.Key, delay_s: float) -> None:
        if key in self._timers:
            self._timers[key].cancel()
        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(delay_s, self._keys.add, key)
