"""What a request is about, read from its method and path alone.

    GET  /api/v1/namespaces/default/services?watch=true   watch services in default
    PUT  /api/v1/namespaces/default/pods/a/status         update the status of pod a in default
    GET  /apis/apps/v1/deployments                        list deployments.apps everywhere
    GET  /healthz                                         not about a resource

Authorisation needs it before anything is looked up, so it never consults the table of kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
#: Below `namespaces/NAME` these are parts of the namespace itself, and not kinds within it.
_OF_NAMESPACES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """`plural` is empty for a request that is not about a resource: then only `path` counts."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def resource(self) -> str:
        """`pods/status`: the resource as a role names it."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural


def parse_request(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """Read a request; any path and method can be read.

    >>> parse_request("GET", "/api/v1/namespaces/default/pods/a/status", {}).resource
    'pods/status'
    """
    parts = [part for part in path.split("/") if part]
    start = {"api": 1, "apis": 2}.get(parts[0] if parts else "", len(parts))
    if len(parts) < start + 2:
        return RequestInfo(method.lower(), path)
    group = parts[1] if start == 2 else ""
    namespace, rest = _split_namespace(parts[start + 1 :])
    plural, name, subresource = [*rest, "", "", ""][:3]
    return RequestInfo(
        _verb(method, name, query),
        path,
        group,
        parts[start],
        namespace,
        plural,
        name,
        "/".join([subresource, *rest[3:]]),
    )


def _split_namespace(rest: list[str]) -> tuple[str, list[str]]:
    if rest[0] == "namespaces" and len(rest) > 1:
        if len(rest) == 2 or rest[2] in _OF_NAMESPACES:
            return rest[1], rest
        return rest[1], rest[2:]
    return "", rest


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method in ("GET", "HEAD"):
        # A HEAD for a watch would be a header and then nothing for half an hour.
        if method == "GET" and is_true(query.get("watch")):
            return "watch"
        return "get" if name else "list"
    verb = _VERBS.get(method, method.lower())
    return "deletecollection" if verb == "delete" and not name else verb


def is_true(value: str | None) -> bool:
    """A query parameter as Go's clients write a boolean: absent, `true`, `1`, or bare."""
    return value is not None and value.lower() not in ("false", "0", "f")
