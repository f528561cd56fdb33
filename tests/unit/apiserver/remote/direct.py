"""A client whose requests go straight into the API server's application, as its answers come out.

News of the server can be handed on when a test says so: as late as it likes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labkit import errors
from labkit.apiserver import watching
from labkit.apiserver.remote import cluster as remote_cluster
from labkit.client import config, http, watch
from labkit.model import resources
from labkit.model.resources import Object
from tests.unit.apiserver import cluster


class DirectClient(http.Client):
    """`asked` holds every request; `before` runs before each, as somebody else would."""

    def __init__(self, api: cluster.Client) -> None:
        super().__init__(config.ClientConfig("https://192.0.2.1:6443"))
        self._api = api
        self.asked: list[str] = []
        self.interfere: list[Any] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Any:
        if self.interfere and method != "GET":
            self.interfere.pop(0)()
        self.asked.append(f"{method} {path}")
        full = http.with_query(path, query or {})
        reply = self._api(method, full, body, content_type=content_type)
        if reply.code >= 400:
            raise errors.api_error(reply.code, reply.json)
        return json.loads(reply.body)

    @property
    def writes(self) -> list[str]:
        return [line for line in self.asked if not line.startswith("GET")]


class News:
    """What the server's watches have to tell of some kinds, kept until it is delivered."""

    def __init__(self, objects: Any, kinds: tuple[resources.Resource, ...]) -> None:
        self._waiting: list[tuple[resources.Resource, watching.Change]] = []
        for kind in kinds:
            objects.store.observe(kind, lambda change, kind=kind: self._keep(kind, change))

    def _keep(self, kind: resources.Resource, change: watching.Change) -> None:
        self._waiting.append((kind, change))

    def deliver(self, remote: remote_cluster.RemoteCluster) -> None:
        while self._waiting:
            kind, change = self._waiting.pop(0)
            obj = json.loads(json.dumps(change.after.object))
            remote.take(kind, watch.WatchEvent(change.type, obj))
