"""Pods without a node: when a Node is deleted, nobody is left to end its pods.

They are deleted at once and without grace, some time after the Node: it may only have been deleted
so that its kubelet registers it anew.
"""

from __future__ import annotations

import asyncio

from labkit.apiserver import watching
from labkit.apiserver.controllers import controller, eviction
from labkit.model import resources

#: How long a pod waits for its Node to come back.
QUARANTINE_S = 40.0
_REASON, _MESSAGE = "DeletionByPodGC", "PodGC: node no longer exists"


class Controller(controller.Controller):
    """Its keys are (empty, name of a node)."""

    def __init__(self, objects: controller.Cluster, quarantine_s: float = QUARANTINE_S) -> None:
        super().__init__(objects)
        self._quarantine_s = quarantine_s
        self._store.observe(resources.NODES, self._on_node)
        self._store.observe(resources.PODS, self._on_pod)
        for stored in self._store.list(resources.PODS):
            self._on_pod(watching.Change("ADDED", None, stored))

    def _on_node(self, change: watching.Change) -> None:
        if change.type == "DELETED":
            self._look_later(change.after.name)

    def _on_pod(self, change: watching.Change) -> None:
        """Somebody may also have placed it on a node that never was."""
        node = change.after.object["spec"].get("nodeName")
        if node and change.type != "DELETED" and not self._store.get(resources.NODES, "", node):
            self._look_later(node)

    def _look_later(self, node: str) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._quarantine_s, self._keys.add, ("", node))

    def _sync(self, _: str, name: str) -> None:
        if self._store.get(resources.NODES, "", name):
            return
        for stored in list(self._store.list(resources.PODS)):
            if stored.object["spec"].get("nodeName") == name:
                eviction.disrupt(self._objects, stored.object, _REASON, _MESSAGE, grace_s=0)
