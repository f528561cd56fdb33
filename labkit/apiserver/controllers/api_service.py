"""default/kubernetes comes back when somebody deletes it: pods find the API server by it."""

from __future__ import annotations

from labkit.apiserver import bootstrap, registry, watching
from labkit.apiserver.controllers import controller
from labkit.model import resources

_KEY = ("default", "kubernetes")


class Controller(controller.Controller):
    """Puts the API server's own Service and its endpoints right."""

    def __init__(self, objects: registry.Registry, api: bootstrap.ApiAddress) -> None:
        super().__init__(objects)
        self._registry = objects
        self._api = api
        for resource in (resources.SERVICES, resources.ENDPOINTS, resources.ENDPOINT_SLICES):
            objects.store.observe(resource, self._on_change)

    def _on_change(self, change: watching.Change) -> None:
        if (change.after.namespace, change.after.name) == _KEY:
            self._keys.add(_KEY)

    def _sync(self, _: str, __: str) -> None:
        bootstrap.ensure_api_service(self._registry, self._api)
