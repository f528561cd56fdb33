"""The writes of controllers, over HTTP.

    update   the object as the picture shows it, changed, with its resourceVersion: when somebody
             else was faster, the server says Conflict; then the same change is made to what is
             there now
    delete   of the object that was meant: its uid goes along

The API server does the rest: defaults, validation, addresses. Its answer goes into the picture
before anybody looks again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence

from labkit import errors
from labkit.apiserver import registry, watching
from labkit.apiserver.kinds import kind as kind_module
from labkit.apiserver.remote import dialects, mirror
from labkit.client import http, watch
from labkit.model import resources

#: So often a change is made again to a newer state; who writes all the time is let go first.
TRIES = 8


class RemoteCluster:
    """What `controller.Cluster` asks for, of any API server."""

    def __init__(
        self,
        client: http.Client,
        followed: Sequence[resources.Resource],
        spoken: Mapping[resources.Resource, dialects.Dialect] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._spoken = spoken or {}
        self.clock = clock
        self.store = mirror.Mirror(followed, self._find)

    def dialect(self, resource: resources.Resource) -> dialects.Dialect:
        """How this server calls a kind, and writes it."""
        return self._spoken.get(resource) or dialects.Dialect(resource)

    def take(self, resource: resources.Resource, news: watch.Change) -> None:
        """What a watch of this server has brought."""
        read = self.dialect(resource).read
        if isinstance(news, watch.Synced):
            news = watch.Synced(tuple(map(read, news.objects)), news.version)
        else:
            news = watch.WatchEvent(news.type, read(news.object))
        self.store.take(resource, news)

    def create(
        self, kind: kind_module.Kind, namespace: str, obj: resources.Object
    ) -> watching.Stored:
        if kind.resource.namespaced:
            obj.setdefault("metadata", {})["namespace"] = namespace
        path = self._path(kind.resource, namespace)
        return self._send("POST", path, kind.resource, obj)

    def update(
        self,
        kind: kind_module.Kind,
        namespace: str,
        name: str,
        modify: registry.Modify,
        *,
        subresource: str = "",
    ) -> watching.Stored:
        resource = kind.resource
        found = self.store.get(resource, namespace, name)
        current = found or self._get(resource, namespace, name)
        uid = current.object["metadata"].get("uid")
        for _ in range(TRIES):
            held = current.object["metadata"].get("resourceVersion", "")
            new = modify(copy.deepcopy(current.object))
            if new == current.object:
                return current
            if subresource == "binding":
                return self._bind(namespace, name, new)
            version = new["metadata"].setdefault("resourceVersion", held)
            path = self._path(resource, namespace, name, subresource)
            try:
                return self._send("PUT", path, resource, new)
            except errors.Conflict:
                current = self._get(resource, namespace, name)
                # A change that was made of an older state cannot be made again; nor to a namesake.
                if version != held or current.object["metadata"].get("uid") != uid:
                    raise
        raise errors.Conflict(
            f"{resource.singular} {namespace}/{name} was changed {TRIES} times meanwhile",
            status=409,
        )

    def delete(
        self, kind: kind_module.Kind, namespace: str, name: str, options: registry.DeleteOptions
    ) -> registry.Deleted:
        resource = kind.resource
        body = _render_options(options)
        path = self._path(resource, namespace, name)
        answer = self._client.request("DELETE", path, body=body)
        if answer.get("kind") == "Status" or "metadata" not in answer:
            return registry.Deleted(self._forget(resource, namespace, name), gone=True)
        last = self.dialect(resource).read(answer)
        if _is_gone(last, options):
            return registry.Deleted(self.store.forget(resource, last), gone=True)
        return registry.Deleted(self.store.note(resource, last), gone=False)

    def exists(self, resource: resources.Resource, namespace: str, name: str, uid: str) -> bool:
        """Ask the server itself, whatever the picture shows."""
        found = self._find(resource, namespace, name)
        return found is not None and found["metadata"].get("uid") == uid

    # --- requests --------------------------------------------------------------------------------

    def _send(
        self, method: str, path: str, resource: resources.Resource, obj: resources.Object
    ) -> watching.Stored:
        spoken = self.dialect(resource)
        written = spoken.write(obj)
        written |= {"apiVersion": spoken.resource.api_version, "kind": spoken.resource.kind}
        return self.store.note(
            resource, spoken.read(self._client.request(method, path, body=written))
        )

    def _get(self, resource: resources.Resource, namespace: str, name: str) -> watching.Stored:
        """As it is now. Raises NotFound."""
        answer = self._client.request("GET", self._path(resource, namespace, name))
        return self.store.note(resource, self.dialect(resource).read(answer))

    def _find(
        self, resource: resources.Resource, namespace: str, name: str
    ) -> resources.Object | None:
        try:
            answer = self._client.request("GET", self._path(resource, namespace, name))
        except errors.NotFound:
            return None
        return self.dialect(resource).read(answer)

    def _bind(self, namespace: str, name: str, pod: resources.Object) -> watching.Stored:
        """A pod's node is not written but bound, by a request of its own."""
        target = {"apiVersion": "v1", "kind": "Node", "name": pod["spec"]["nodeName"]}
        meta = {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        path = self._path(resources.PODS, namespace, name, "binding")
        self._client.request("POST", path, body=body)
        return self._get(resources.PODS, namespace, name)

    def _forget(self, resource: resources.Resource, namespace: str, name: str) -> watching.Stored:
        known = self.store.get(resource, namespace, name)
        meta = {"name": name, **({"namespace": namespace} if namespace else {})}
        return self.store.forget(resource, known.object if known else {"metadata": meta})

    def _path(
        self, resource: resources.Resource, namespace: str, name: str = "", subresource: str = ""
    ) -> str:
        return self.dialect(resource).resource.path(namespace, name, subresource)


def _render_options(options: registry.DeleteOptions) -> resources.Object:
    body: resources.Object = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": options.propagation,
    }
    wanted = {"uid": options.uid, "resourceVersion": options.resource_version}
    if conditions := {field: value for field, value in wanted.items() if value}:
        body["preconditions"] = conditions
    if options.grace_s is not None:
        body["gracePeriodSeconds"] = options.grace_s
    return body


def _is_gone(last: resources.Object, options: registry.DeleteOptions) -> bool:
    """A deleted object that stays has a time by which it is to go, or somebody who holds it."""
    meta = last["metadata"]
    waits = meta.get("deletionTimestamp") and meta.get("deletionGracePeriodSeconds")
    return not meta.get("finalizers") and (not waits or options.grace_s == 0)
