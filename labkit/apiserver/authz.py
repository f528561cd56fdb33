"""Who may do what: a small fixed table instead of roles and bindings.

system:masters          everything
system:node-proxiers    get, list and watch everything; write nothing
system:nodes            read everything; write events, its own Node, and the pods bound to it
everybody known         discovery, OpenAPI, /version
nobody in particular    /healthz, /livez, /readyz, /version
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labkit.apiserver import authn, request_info
from labkit.model import resources

MASTERS = "system:masters"
PROXIERS = "system:node-proxiers"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"

_PUBLIC = ("/healthz", "/livez", "/readyz", "/version")
_DISCOVERY = ("/api", "/apis", "/openapi", "/version", "/.well-known")
_READ = ("get", "list", "watch")
_WRITE_NODE = ("create", "update", "patch")
_WRITE_STATUS = ("get", "update", "patch")

#: Finds a stored pod, so that its node can be compared.
FindPod = Callable[[str, str], resources.Object | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` is empty where there is nothing to say beyond that the user may not."""

    allowed: bool
    why: str = ""


_YES, _NO = Verdict(allowed=True), Verdict(allowed=False)


def is_public(path: str) -> bool:
    return any(path == public or path.startswith(public + "/") for public in _PUBLIC)


def authorize(user: authn.User, info: request_info.RequestInfo, find_pod: FindPod) -> Verdict:
    if MASTERS in user.groups or is_public(info.path):
        return _YES
    if user == authn.ANONYMOUS:
        return _NO
    if not info.plural:
        known = any(info.path == p or info.path.startswith(p + "/") for p in _DISCOVERY)
        return Verdict(allowed=known and info.verb in ("get", "head"))
    if info.verb in _READ and (PROXIERS in user.groups or NODES in user.groups):
        return _YES
    if NODES in user.groups and user.name.startswith(NODE_PREFIX):
        return _authorize_node(user.name.removeprefix(NODE_PREFIX), info, find_pod)
    return _NO


def _authorize_node(node: str, info: request_info.RequestInfo, find_pod: FindPod) -> Verdict:
    """A node that was broken into must not be able to speak for another."""
    if info.group or info.plural not in ("events", "nodes", "pods"):
        return _NO
    if info.plural == "events":
        return Verdict(allowed=info.verb in _WRITE_NODE and not info.subresource)
    if info.plural == "nodes":
        return _own_node(node, info)
    return _own_pod(node, info, find_pod)


def _own_node(node: str, info: request_info.RequestInfo) -> Verdict:
    if info.subresource not in ("", "status") or info.verb not in _WRITE_NODE:
        return _NO
    # The name of a node that is created stands in the body: the handler asks `may_create_node`.
    if info.verb == "create" or info.name == node:
        return _YES
    return Verdict(allowed=False, why=f'node "{node}" is not allowed to modify node "{info.name}"')


def _own_pod(node: str, info: request_info.RequestInfo, find_pod: FindPod) -> Verdict:
    writes_status = info.subresource == "status" and info.verb in _WRITE_STATUS
    if not writes_status and (info.verb, info.subresource) != ("delete", ""):
        return _NO
    pod = find_pod(info.namespace, info.name)
    if pod is None or pod["spec"].get("nodeName") == node:
        return _YES
    what = "update pod status for" if writes_status else "delete"
    return Verdict(
        allowed=False,
        why=f'node "{node}" can only {what} pods with spec.nodeName set to itself',
    )


def may_create_node(user: authn.User, name: str) -> Verdict:
    """A node registers itself and no other."""
    if MASTERS in user.groups or user.name == NODE_PREFIX + name:
        return _YES
    node = user.name.removeprefix(NODE_PREFIX)
    return Verdict(allowed=False, why=f'node "{node}" is not allowed to modify node "{name}"')


def explain_denial(user: authn.User, info: request_info.RequestInfo) -> str:
    """Kubernetes' own sentence about who cannot do what, and where."""
    if not info.plural:
        return f'User "{user.name}" cannot {info.verb} path "{info.path}"'
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    return (
        f'User "{user.name}" cannot {info.verb} resource "{info.resource}" '
        f'in API group "{info.group}" {where}'
    )
