"""The table of kinds. A kind is added by one module beside this one and one entry below."""

from __future__ import annotations

from labkit.apiserver.kinds import (
    configmaps,
    deployments,
    endpoints,
    endpointslices,
    events,
    events_view,
    kind,
    leases,
    namespaces,
    nodes,
    pods,
    replicasets,
    reviews,
    serviceaccounts,
    services,
)

KINDS: tuple[kind.Kind, ...] = (
    namespaces.KIND,
    nodes.KIND,
    pods.KIND,
    services.KIND,
    endpoints.KIND,
    events.KIND,
    configmaps.KIND,
    serviceaccounts.KIND,
    deployments.KIND,
    replicasets.KIND,
    endpointslices.KIND,
    leases.KIND,
    events_view.KIND,
    *reviews.KINDS,
)

_BY_PLURAL = {(k.resource.group, k.resource.version, k.resource.plural): k for k in KINDS}


def find(group: str, version: str, plural: str) -> kind.Kind | None:
    """The kind at `/apis/GROUP/VERSION/PLURAL`; the core group is the empty string."""
    return _BY_PLURAL.get((group, version, plural))


def group_versions() -> tuple[tuple[str, str], ...]:
    """Every (group, version) of the table, each once, the core group first.

    Some have no kind of their own, only what stands below others': `pods/eviction` is of policy/v1.
    """
    own = [(k.resource.group, k.resource.version) for k in KINDS]
    below = [(sub.group, sub.version) for k in KINDS for sub in k.further if sub.group]
    return tuple(dict.fromkeys(own + below))


def of_group(group: str, version: str) -> tuple[kind.Kind, ...]:
    return tuple(k for k in KINDS if (k.resource.group, k.resource.version) == (group, version))
