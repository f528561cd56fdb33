"""Events: what `kubectl describe` shows below an object, in kubelet's own words."""

from __future__ import annotations

import os
import time
from typing import Literal

from labkit.model.resources import Object
from labkit.podlet import status

Kind = Literal["Normal", "Warning"]


def render(
    about: Object, kind: Kind, reason: str, message: str, *, node: str, container: str = ""
) -> Object:
    """An Event about a pod or a node; for a container it says which one."""
    now = time.time()
    meta = about["metadata"]
    reference: Object = {
        "kind": about.get("kind") or "Pod",
        "apiVersion": "v1",
        "name": meta["name"],
        "uid": meta.get("uid", ""),
    }
    if meta.get("namespace"):
        reference["namespace"] = meta["namespace"]
    if container:
        reference["fieldPath"] = f"spec.containers{{{container}}}"
    moment = status.render_time(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{meta['name']}.{os.urandom(8).hex()}",
            "namespace": meta.get("namespace") or "default",
        },
        "involvedObject": reference,
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": "kubelet", "host": node},
        "reportingComponent": "kubelet",
        "reportingInstance": node,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
