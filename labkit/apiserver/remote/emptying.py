"""Deleting a namespace of somebody else's API server: everything in it, of whatever kind.

The server itself says which kinds it has; those that can be listed and deleted are emptied one
after the other. While anything is left (a pod that is ending, an object that a finalizer holds) the
namespace stays, Terminating, and is looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from labkit import errors
from labkit.apiserver.controllers import controller, keys, namespaces
from labkit.apiserver.kinds import namespaces as kinds_namespaces
from labkit.apiserver.remote import cluster
from labkit.client import http
from labkit.model import resources

#: Not objects but other pictures of them, or not there to be deleted one by one.
_VIEWS = ("events.k8s.io",)


class Controller(controller.Controller):
    """Empties namespaces that are being deleted."""

    def __init__(self, objects: cluster.RemoteCluster, client: http.Client) -> None:
        super().__init__(objects)
        self._client = client
        self._follow(resources.NAMESPACES)

    def _sync(self, _: str, name: str) -> None:
        found = self._store.get(resources.NAMESPACES, "", name)
        if found is None or not namespaces.is_terminating(found.object):
            return
        left = [resource for resource in discover(self._client) if self._empty(resource, name)]
        if left:
            asyncio.get_running_loop().call_later(keys.RETRY_S, self._keys.add, ("", name))
            return
        self._objects.update(kinds_namespaces.KIND, "", name, _finalize, subresource="finalize")

    def _empty(self, resource: resources.Resource, namespace: str) -> bool:
        """Delete what there is of one kind; True when something is left."""
        for obj in self._list(resource, namespace):
            meta = obj["metadata"]
            if not meta.get("deletionTimestamp"):
                try:
                    self._client.delete(resource, meta["name"], namespace, uid=meta["uid"])
                except (errors.NotFound, errors.Conflict):
                    continue
        return bool(self._list(resource, namespace))

    def _list(self, resource: resources.Resource, namespace: str) -> list[resources.Object]:
        return list(self._client.list(resource, namespace).get("items") or ())


def discover(client: http.Client) -> Iterator[resources.Resource]:
    """Every kind with a namespace that the server has, each once, in the version that it prefers.

    Raises ApiError when a part of the server does not answer: what it holds must not be forgotten.
    """
    groups = client.request("GET", "/apis").get("groups") or ()
    preferred = [each["preferredVersion"] for each in groups if each["name"] not in _VIEWS]
    for version in ("v1", *(each["groupVersion"] for each in preferred)):
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        group, _, number = version.rpartition("/")
        for entry in client.request("GET", path).get("resources") or ():
            whole = "/" not in entry["name"] and entry["namespaced"]
            if whole and {"list", "delete"} <= set(entry["verbs"]):
                yield resources.Resource(entry["kind"], entry["name"], group, number)


def _finalize(namespace: resources.Object) -> resources.Object:
    kept = [f for f in namespace["spec"]["finalizers"] if f != kinds_namespaces.FINALIZER]
    return {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}
