"""Deleting a namespace: first everything in it, then the namespace itself.

Pods on a node take a while to end; the namespace stays, Terminating, until the last object is gone.
"""

from __future__ import annotations

from labkit.apiserver import kinds, registry, watching
from labkit.apiserver.controllers import controller
from labkit.apiserver.kinds import namespaces
from labkit.model import resources


def is_terminating(namespace: resources.Object) -> bool:
    return bool(namespace["metadata"].get("deletionTimestamp"))


class Controller(controller.Controller):
    """Empties namespaces that are being deleted."""

    def __init__(self, objects: controller.Cluster) -> None:
        super().__init__(objects)
        for kind in kinds.KINDS:
            self._store.observe(kind.resource, self._on_change)
        self._keys.update(("", stored.name) for stored in self._store.list(resources.NAMESPACES))

    def _on_change(self, change: watching.Change) -> None:
        """The namespace itself, or the one from which something has just gone."""
        name = change.after.namespace or change.after.name
        if change.after.namespace and change.type != "DELETED":
            return
        found = self._store.get(resources.NAMESPACES, "", name)
        if found and is_terminating(found.object):
            self._keys.add(("", name))

    def _sync(self, _: str, name: str) -> None:
        found = self._store.get(resources.NAMESPACES, "", name)
        if found is None or not is_terminating(found.object):
            return
        self._empty(name)
        if self._is_empty(name):
            self._objects.update(namespaces.KIND, "", name, _finalize, subresource="finalize")

    def _empty(self, name: str) -> None:
        for kind in kinds.KINDS:
            if kind.resource.namespaced:
                for stored in list(self._store.list(kind.resource, name)):
                    self._objects.delete(kind, name, stored.name, registry.DeleteOptions())

    def _is_empty(self, name: str) -> bool:
        return not any(
            next(self._store.list(kind.resource, name), None)
            for kind in kinds.KINDS
            if kind.resource.namespaced
        )


def _finalize(namespace: resources.Object) -> resources.Object:
    kept = [f for f in namespace["spec"]["finalizers"] if f != namespaces.FINALIZER]
    return {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}
