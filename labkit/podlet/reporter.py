"""What the API server hears about pods: their status when it has changed, events, the last word."""

from __future__ import annotations

import functools
import itertools

from labkit.client import http
from labkit.model import resources
from labkit.model.resources import Object
from labkit.podlet import events, options, outbox, state, status


class Reporter:
    """Remembers what was last told, so that nothing is told twice."""

    def __init__(self, given: options.Options, out: outbox.Outbox) -> None:
        self._name = given.name
        self._host_ip = str(given.address)
        self._outbox = out
        self._published: dict[str, Object] = {}
        self._count = itertools.count()

    def has_seen(self, obj: Object) -> None:
        """Take what the API server has as what it was told last."""
        self._published[obj["metadata"]["uid"]] = obj.get("status") or {}

    def has_heard(self, obj: Object) -> None:
        """Somebody else may say whether a pod is ready: while its node was silent it was not."""
        before = self._published.get(obj["metadata"]["uid"], {})
        if status.readiness(obj) != status.readiness({"status": before}):
            self.has_seen(obj)

    def publish(self, wanted: Object, pod: state.Pod, now: float) -> None:
        """Send the pod's status if it is not what was sent last."""
        before = self._published.get(pod.uid, {})
        fresh = status.render(wanted, pod, host_ip=self._host_ip, now=now, before=before)
        if any(before.get(key) != value for key, value in fresh.items()):
            self._published[pod.uid] = fresh
            self._outbox.put(("pod", pod.uid), functools.partial(_send_status, pod, fresh))

    def remove(self, wanted: Object) -> None:
        """The last word on a pod: nothing is left of it here, so the API may forget it too."""
        meta = wanted["metadata"]
        self._outbox.put(("pod", meta["uid"]), functools.partial(_send_removal, meta))

    def forget(self, uid: str) -> None:
        self._published.pop(uid, None)

    def say(
        self, about: Object, kind: events.Kind, reason: str, message: str, container: str = ""
    ) -> None:
        event = events.render(about, kind, reason, message, node=self._name, container=container)
        subject = ("event", next(self._count))
        self._outbox.put(subject, lambda client: client.create(resources.EVENTS, event))


def _send_status(pod: state.Pod, fresh: Object, client: http.Client) -> None:
    """The uid keeps a pod of the same name, made since, from getting a status that is not its own.

    A patch has no resourceVersion: it cannot conflict with what others write, only with that.
    """
    patch = {"metadata": {"uid": pod.uid}, "status": fresh}
    client.patch(resources.PODS, pod.name, pod.namespace, patch, subresource="status")


def _send_removal(meta: Object, client: http.Client) -> None:
    client.delete(resources.PODS, meta["name"], meta["namespace"], grace_s=0, uid=meta["uid"])
