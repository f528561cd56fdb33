"""Who may do what: a small fixed table instead of roles and bindings.

system:masters          everything
system:node-proxiers    get, list and watch everything; write events, and nothing else
system:nodes            read everything; write events, its own Node and Lease, the pods bound to it
everybody known         discovery, OpenAPI, /version; who they are, and what they may do
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
#: Questions about oneself.
_REVIEWS = {
    "authentication.k8s.io": ("selfsubjectreviews",),
    "authorization.k8s.io": ("selfsubjectaccessreviews", "selfsubjectrulesreviews"),
}
#: What programs say, and to run others beside them.
_FOR_PEOPLE = ("pods/attach", "pods/exec", "pods/log", "pods/portforward")
_EVENT_GROUPS = ("", "events.k8s.io")
_LEASE_GROUP = "coordination.k8s.io"
_LEASE_NAMESPACE = "kube-node-lease"
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
    if info.resource in _FOR_PEOPLE:
        return _NO
    if info.verb == "create" and info.plural in _REVIEWS.get(info.group, ()):
        return _YES
    if info.verb in _READ and (PROXIERS in user.groups or NODES in user.groups):
        return _YES
    if PROXIERS in user.groups:
        return Verdict(allowed=_writes_events(info))
    if NODES in user.groups and user.name.startswith(NODE_PREFIX):
        return _authorize_node(user.name.removeprefix(NODE_PREFIX), info, find_pod)
    return _NO


def _authorize_node(node: str, info: request_info.RequestInfo, find_pod: FindPod) -> Verdict:
    """A node that was broken into must not be able to speak for another."""
    if _writes_events(info):
        return _YES
    if (info.group, info.plural) == (_LEASE_GROUP, "leases"):
        return _own_lease(node, info)
    if (info.group, info.plural) == ("", "nodes"):
        return _own_node(node, info)
    if (info.group, info.plural) == ("", "pods"):
        return _own_pod(node, info, find_pod)
    return _NO


def _writes_events(info: request_info.RequestInfo) -> bool:
    is_event = info.plural == "events" and info.group in _EVENT_GROUPS and not info.subresource
    return is_event and info.verb in _WRITE_NODE


def _own_lease(node: str, info: request_info.RequestInfo) -> Verdict:
    """The lease that says that the node is alive. A new one's name stands in the body."""
    if info.namespace != _LEASE_NAMESPACE:
        why = f'can only access leases in the "{_LEASE_NAMESPACE}" system namespace'
        return Verdict(allowed=False, why=why)
    if info.verb not in (*_WRITE_NODE, "delete"):
        return _NO
    if info.verb == "create" or info.name == node:
        return _YES
    return Verdict(
        allowed=False, why="can only access node lease with the same name as the requesting node"
    )


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


# --- the table, told to those who ask ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be done with what: a line of the answer to `kubectl auth can-i --list`."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


def rules_of(user: authn.User) -> tuple[Rule, ...]:
    """What `authorize` allows, as rules. Which pods are a node's own, no rule can say."""
    if MASTERS in user.groups:
        return Rule(("*",), ("*",), ("*",)), Rule(("*",), paths=("*",))
    reviews = [Rule(("create",), (group,), plurals) for group, plurals in _REVIEWS.items()]
    paths = tuple(path for root in _DISCOVERY for path in (root, f"{root}/*"))
    common = (*reviews, Rule(("get",), paths=(*_PUBLIC, *paths)))
    if not {PROXIERS, NODES} & set(user.groups):
        return common
    reads = Rule(_READ, ("*",), ("*",))
    events = Rule(_WRITE_NODE, _EVENT_GROUPS, ("events",))
    if NODES not in user.groups:
        return (reads, events, *common)
    return (reads, events, *_rules_of_node(user.name.removeprefix(NODE_PREFIX)), *common)


def _rules_of_node(node: str) -> tuple[Rule, ...]:
    return (
        Rule(_WRITE_NODE, ("",), ("nodes", "nodes/status"), (node,)),
        Rule((*_WRITE_NODE, "delete"), (_LEASE_GROUP,), ("leases",), (node,)),
        Rule(("patch", "update"), ("",), ("pods/status",)),
        Rule(("delete",), ("",), ("pods",)),
    )
