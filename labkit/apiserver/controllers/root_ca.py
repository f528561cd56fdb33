"""The ConfigMap `kube-root-ca.crt` in every namespace: whom to trust as the API server."""

from __future__ import annotations

from labkit.apiserver import watching
from labkit.apiserver.controllers import controller, namespaces
from labkit.apiserver.kinds import configmaps
from labkit.model import resources

NAME = "kube-root-ca.crt"
_NOTE = {
    "kubernetes.io/description": "Whom to trust as the API server at its addresses within the "
    "cluster: the clusterIP of default/kubernetes, and its names in DNS."
}


class Controller(controller.Controller):
    """Creates what is missing, and puts right what somebody wrote into it."""

    def __init__(self, objects: controller.Cluster, certificate: str) -> None:
        """`certificate` is that of the authority, PEM."""
        super().__init__(objects)
        self._data = {"ca.crt": certificate}
        self._store.observe(resources.NAMESPACES, self._on_change)
        self._store.observe(resources.CONFIG_MAPS, self._on_change)
        self._keys.update(("", stored.name) for stored in self._store.list(resources.NAMESPACES))

    def _on_change(self, change: watching.Change) -> None:
        if not change.after.namespace or change.after.name == NAME:
            self._keys.add(("", change.after.namespace or change.after.name))

    def _sync(self, _: str, name: str) -> None:
        namespace = self._store.get(resources.NAMESPACES, "", name)
        if namespace is None or namespaces.is_terminating(namespace.object):
            return
        found = self._store.get(resources.CONFIG_MAPS, name, NAME)
        if found is None:
            meta = {"name": NAME, "annotations": dict(_NOTE)}
            self._objects.create(configmaps.KIND, name, {"metadata": meta, "data": self._data})
        elif found.object.get("data") != self._data:
            self._objects.update(
                configmaps.KIND, name, NAME, lambda old: {**old, "data": dict(self._data)}
            )
