"""Every namespace has a service account `default`, also after somebody deleted it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.apiserver import watching
from labkit.apiserver.controllers import controller, namespaces
from labkit.apiserver.kinds import serviceaccounts
from labkit.model import resources


class Controller(controller.Controller):
    """Creates what is missing."""

    def __init__(
        self, objects: controller.Cluster, fields: Mapping[str, Any] | None = None
    ) -> None:
        """`fields` are what a new account says besides its name."""
        super().__init__(objects)
        self._fields = dict(fields or {})
        self._store.observe(resources.NAMESPACES, self._on_change)
        self._store.observe(resources.SERVICE_ACCOUNTS, self._on_change)
        self._keys.update(("", stored.name) for stored in self._store.list(resources.NAMESPACES))

    def _on_change(self, change: watching.Change) -> None:
        if change.type != "MODIFIED":
            self._keys.add(("", change.after.namespace or change.after.name))

    def _sync(self, _: str, name: str) -> None:
        found = self._store.get(resources.NAMESPACES, "", name)
        if found is None or namespaces.is_terminating(found.object):
            return
        account = serviceaccounts.DEFAULT
        if self._store.get(resources.SERVICE_ACCOUNTS, name, account) is None:
            made = {"metadata": {"name": account}, **self._fields}
            self._objects.create(serviceaccounts.KIND, name, made)
