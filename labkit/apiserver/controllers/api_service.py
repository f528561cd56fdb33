"""default/kubernetes comes back when somebody deletes it: pods find the API server by it."""

from __future__ import annotations

from labkit.apiserver import bootstrap, registry, watching
from labkit.apiserver.controllers import keys
from labkit.model import resources

_KEY = ("default", "kubernetes")


class Controller:
    """Puts the API server's own Service and its endpoints right."""

    def __init__(self, objects: registry.Registry, api: bootstrap.ApiAddress) -> None:
        self._objects = objects
        self._api = api
        self._keys = keys.Keys()
        for resource in (resources.SERVICES, resources.ENDPOINTS, resources.ENDPOINT_SLICES):
            objects.store.observe(resource, self._on_change)

    def _on_change(self, change: watching.Change) -> None:
        if (change.after.namespace, change.after.name) == _KEY:
            self._keys.add(_KEY)

    async def run(self) -> None:
        await self._keys.serve(self._sync)

    def _sync(self, _: str, __: str) -> None:
        bootstrap.ensure_api_service(self._objects, self._api)
