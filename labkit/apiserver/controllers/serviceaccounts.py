"""Every namespace has a service account `default`, also after somebody deleted it."""

from __future__ import annotations

from labkit.apiserver import registry, watching
from labkit.apiserver.controllers import keys, namespaces
from labkit.apiserver.kinds import serviceaccounts
from labkit.model import resources


class Controller:
    """Creates what is missing."""

    def __init__(self, objects: registry.Registry) -> None:
        self._objects = objects
        self._store = objects.store
        self._keys = keys.Keys()
        self._store.observe(resources.NAMESPACES, self._on_change)
        self._store.observe(resources.SERVICE_ACCOUNTS, self._on_change)
        self._keys.update(("", stored.name) for stored in self._store.list(resources.NAMESPACES))

    def _on_change(self, change: watching.Change) -> None:
        if change.type != "MODIFIED":
            self._keys.add(("", change.after.namespace or change.after.name))

    async def run(self) -> None:
        await self._keys.serve(self._sync)

    def _sync(self, _: str, namespace: str) -> None:
        found = self._store.get(resources.NAMESPACES, "", namespace)
        if found is None or namespaces.is_terminating(found.object):
            return
        name = serviceaccounts.DEFAULT
        if self._store.get(resources.SERVICE_ACCOUNTS, namespace, name) is None:
            self._objects.create(serviceaccounts.KIND, namespace, {"metadata": {"name": name}})
