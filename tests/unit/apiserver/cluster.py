"""A cluster without a process: a registry in memory, manifests, and a client that speaks ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from labkit.apiserver import allocation, app, authn, bootstrap, registry, store
from labkit.model import resources

RANGES = allocation.Ranges(IPv4Network("10.96.0.0/16"), (30000, 32767))
API = bootstrap.ApiAddress(IPv4Address("10.96.0.1"), IPv4Address("192.168.56.10"), 6443)
TOKENS = json.dumps(
    {
        "admin": {"user": "kubernetes-admin", "groups": ["system:masters"]},
        "proxy": {"user": "system:kube-proxy:node1", "groups": ["system:node-proxiers"]},
        "node1": {"user": "system:node:node1", "groups": ["system:nodes"]},
    }
)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def running(watch_history: int = 1000) -> Iterator[registry.Registry]:
    """A registry with what every cluster has; nothing is written to a disk."""
    with store.Store(None, watch_history=watch_history) as objects:
        writes = registry.Registry(objects, RANGES, Clock())
        writes.load()
        bootstrap.ensure_initial(writes, API)
        yield writes


def service(name: str = "app1", **spec: Any) -> resources.Object:
    ports = [{"port": 8080, "targetPort": 8080, "nodePort": 30062}]
    full = {"type": "NodePort", "ports": ports, "selector": {"name": "app1"}, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": full}


def pod(name: str = "a", *, labels: dict[str, str] | None = None, **spec: Any) -> resources.Object:
    full = {"containers": [{"name": "echo", "image": "labkit/echo"}], **spec}
    meta = {"name": name, "labels": labels or {"name": "app1"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": full}


def replica_set(name: str = "web", replicas: int = 2, **spec: Any) -> resources.Object:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    full = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": full}


def deployment(name: str = "web", replicas: int = 3, **spec: Any) -> resources.Object:
    return {**replica_set(name, replicas, **spec), "kind": "Deployment"}


def node(name: str = "node1", *, ready: str = "True", **spec: Any) -> resources.Object:
    state = {"type": "Ready", "status": ready, "lastHeartbeatTime": "2023-11-14T22:13:20Z"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
        "status": {"conditions": [state]},
    }


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


@dataclass
class Client:
    """Calls the application as uvicorn would."""

    objects: registry.Registry
    token: str = "admin"
    accept: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    application: Any = field(init=False)

    def __post_init__(self) -> None:
        tokens = authn.parse_tokens(TOKENS)
        self.application = app.make_app(self.objects, tokens, "192.168.56.10:6443")

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
    ) -> Reply:
        return asyncio.run(self._call(method, path, body, content_type))

    async def _call(self, method: str, path: str, body: Any, content_type: str) -> Reply:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        inbox = [{"type": "http.request", "body": data, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if inbox:
                return inbox.pop()
            await asyncio.Event().wait()
            raise AssertionError

        await self.application(self.scope(method, path, content_type), receive, send)
        headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        text = b"".join(message.get("body", b"") for message in sent[1:])
        return Reply(sent[0]["status"], headers, text)

    def scope(self, method: str, path: str, content_type: str = "") -> dict[str, Any]:
        path, _, query = path.partition("?")
        headers = [
            (b"accept", self.accept.encode()),
            (b"content-type", content_type.encode()),
        ]
        headers += [(name.encode(), value.encode()) for name, value in self.headers.items()]
        if self.token:
            headers.append((b"authorization", f"Bearer {self.token}".encode()))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "server": ("127.0.0.1", 6443),
            "client": ("127.0.0.1", 40000),
            "scheme": "https",
            "state": {},
        }

    @contextlib.asynccontextmanager
    async def watch(self, path: str) -> AsyncIterator[asyncio.Queue[Any]]:
        """The events of a watch as they come; the client goes away at the end of the block."""
        events: asyncio.Queue[Any] = asyncio.Queue()
        gone = asyncio.Event()
        inbox = [{"type": "http.request", "body": b"", "more_body": False}]

        async def send(message: dict[str, Any]) -> None:
            for line in message.get("body", b"").splitlines():
                events.put_nowait(json.loads(line))

        async def receive() -> dict[str, Any]:
            if inbox:
                return inbox.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        task = asyncio.ensure_future(self.application(self.scope("GET", path), receive, send))
        try:
            yield events
        finally:
            gone.set()
            await task
