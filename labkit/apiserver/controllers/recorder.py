"""Events: what controllers have to tell, for `kubectl describe` and `kubectl get events`."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from labkit import errors
from labkit.apiserver import timestamps
from labkit.apiserver.controllers import controller
from labkit.apiserver.kinds import events
from labkit.model import resources

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes Events in the name of one component. What it has said before, it counts."""

    objects: controller.Cluster
    component: str

    def record(
        self, about: resources.Object, reason: str, message: str, *, warning: bool = False
    ) -> None:
        """An event that cannot be written is lost: nothing may fail because of it."""
        now = timestamps.render(self.objects.clock())
        event = _make_event(self.component, about, reason, message, now, warning=warning)
        meta = event["metadata"]

        def again(old: resources.Object) -> resources.Object:
            return {**old, "count": old.get("count", 1) + 1, "lastTimestamp": now}

        try:
            if self.objects.store.get(resources.EVENTS, meta["namespace"], meta["name"]):
                self.objects.update(events.KIND, meta["namespace"], meta["name"], again)
            else:
                self.objects.create(events.KIND, meta["namespace"], event)
        except errors.ApiError as error:
            logger.debug("lost an event about %s: %s", resources.name_of(about), error)


def _make_event(
    component: str,
    about: resources.Object,
    reason: str,
    message: str,
    now: str,
    *,
    warning: bool,
) -> resources.Object:
    meta = about["metadata"]
    reference = {
        "kind": about["kind"],
        "apiVersion": about["apiVersion"],
        "name": meta["name"],
        "uid": meta.get("uid", ""),
        **({"namespace": meta["namespace"]} if "namespace" in meta else {}),
    }
    # The same words about the same object are the same event: its name says so.
    words = "\0".join((component, reference["uid"], reason, message))
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    return {
        "metadata": {
            "name": f"{meta['name']}.{digest}",
            "namespace": meta.get("namespace", "default"),
        },
        "involvedObject": reference,
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "source": {"component": component},
        "reportingComponent": component,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
