"""The API's verbs: get, list, create, replace, patch, delete. Answers are decoded JSON.

The API server says no with a status of 400 and above and a `Status` object; that becomes the
ApiError of its kind (NotFound, Conflict, Gone, Invalid). Trouble with the network becomes
ConnectionFailed. Nothing else is raised.
"""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Mapping
from typing import Any

from labkit import errors
from labkit.client import config as client_config
from labkit.client import wire
from labkit.model import resources
from labkit.model.resources import Object, Resource

Dial = wire.Dial

MERGE_PATCH = "application/merge-patch+json"
DEFAULT_NAMESPACE = "default"


class Client:
    """One kept-alive connection to the API server, opened when first used. Any thread may call."""

    def __init__(
        self,
        config: client_config.ClientConfig,
        *,
        dial: Dial = wire.dial_tcp,
        timeout_s: float = 10.0,
    ) -> None:
        self._config = config
        self._dial = dial
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection: wire.Connection | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._disconnect()

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
        """Send one request and return what came: decoded if it is JSON, else as text."""
        data = b"" if body is None else encode(body)
        with self._lock, wire.translated(self._config):
            try:
                response, answer = self._exchange(
                    method, with_query(path, query or {}), data, content_type, accept
                )
            except BaseException:
                self._disconnect()
                raise
            if response.headers.get("connection", "").lower() == "close":
                self._disconnect()
        return decode(response, answer)

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        return _object(self.request("GET", _path(resource, namespace, name)))

    def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Object:
        """Return the List object. Without a namespace: of all namespaces."""
        query = selectors(label_selector, field_selector)
        return _object(self.request("GET", resource.path(namespace), query=query))

    def create(self, resource: Resource, obj: Object) -> Object:
        namespace = _namespace_of(resource, obj)
        return _object(self.request("POST", resource.path(namespace), body=obj))

    def replace(self, resource: Resource, obj: Object) -> Object:
        return self._put(resource, obj, "")

    def replace_status(self, resource: Resource, obj: Object) -> Object:
        return self._put(resource, obj, "status")

    def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        patch: Object,
        *,
        subresource: str = "",
    ) -> Object:
        """Merge `patch` into the object: its values win, null removes, lists are replaced whole."""
        path = _path(resource, namespace, name, subresource)
        return _object(self.request("PATCH", path, body=patch, content_type=MERGE_PATCH))

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        grace_s: int | None = None,
        uid: str = "",
    ) -> Object:
        """Delete the object; with `uid` only if it is still that one, not a namesake made since."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        if uid:
            options["preconditions"] = {"uid": uid}
        return _object(self.request("DELETE", _path(resource, namespace, name), body=options))

    def _put(self, resource: Resource, obj: Object, subresource: str) -> Object:
        path = _path(resource, _namespace_of(resource, obj), obj["metadata"]["name"], subresource)
        return _object(self.request("PUT", path, body=obj))

    def _exchange(
        self, method: str, path: str, data: bytes, content_type: str, accept: str
    ) -> tuple[wire.Response, bytes]:
        """One request; once more, on a new connection, where the old one turns out to be dead.

        A server ends a connection that idles. `is_over` sees that in time, nearly always. What is
        left is repeated only where repeating does no harm.
        """
        fresh = self._ensure_connected()
        while True:
            assert self._connection is not None
            try:
                response = self._connection.send(
                    method, path, data, content_type=content_type, accept=accept
                )
                return response, response.read()
            except (ConnectionError, BrokenPipeError):
                if fresh or method != "GET":
                    raise
                self._disconnect()
                fresh = self._ensure_connected()

    def _ensure_connected(self) -> bool:
        """Return whether the connection is a new one."""
        if self._connection is not None and self._connection.is_over:
            self._disconnect()
        if self._connection is not None:
            return False
        self._connection = wire.connect(self._config, self._dial, timeout_s=self._timeout_s)
        return True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def encode(body: Object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def decode(response: wire.Response, answer: bytes) -> Any:
    """Decode an answer, or raise the ApiError that it is."""
    content: Any = answer.decode(errors="replace")
    if "json" in response.headers.get("content-type", ""):
        content = json.loads(content)
    if response.status >= 400:
        body = content if isinstance(content, dict) else {"message": str(content).strip()[:500]}
        raise errors.api_error(response.status, body)
    return content


def with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path


def selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in query.items() if value}


def _path(resource: Resource, namespace: str, name: str, subresource: str = "") -> str:
    return resource.path(namespace or DEFAULT_NAMESPACE, name, subresource)


def _namespace_of(resource: resources.Resource, obj: Object) -> str:
    namespace: str = obj.get("metadata", {}).get("namespace") or DEFAULT_NAMESPACE
    return namespace if resource.namespaced else ""


def _object(answer: Any) -> Object:
    if not isinstance(answer, dict):
        raise errors.ApiError("the API server's answer is not an object", status=200)
    return answer
