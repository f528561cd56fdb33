"""The kinds of Kubernetes object that the lab uses, and where each lives in the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: A Kubernetes object as it travels: decoded JSON.
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind with its address in the API: `/api/v1/...` for the core group, else `/apis/...`."""

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object or a subresource. No namespace: all of them.

        >>> SERVICES.path("default", "app1", "status")
        '/api/v1/namespaces/default/services/app1/status'
        """
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


NAMESPACES = Resource("Namespace", "namespaces", namespaced=False, short_names=("ns",))
NODES = Resource("Node", "nodes", namespaced=False, short_names=("no",))
PODS = Resource("Pod", "pods", short_names=("po",))
SERVICES = Resource("Service", "services", short_names=("svc",))
ENDPOINTS = Resource("Endpoints", "endpoints", short_names=("ep",))
EVENTS = Resource("Event", "events", short_names=("ev",))
ENDPOINT_SLICES = Resource("EndpointSlice", "endpointslices", "discovery.k8s.io")
CONFIG_MAPS = Resource("ConfigMap", "configmaps", short_names=("cm",))
SERVICE_ACCOUNTS = Resource("ServiceAccount", "serviceaccounts", short_names=("sa",))
LEASES = Resource("Lease", "leases", "coordination.k8s.io")
DEPLOYMENTS = Resource("Deployment", "deployments", "apps", short_names=("deploy",))
REPLICA_SETS = Resource("ReplicaSet", "replicasets", "apps", short_names=("rs",))

#: On a Node: when the podlet began that has taken stock of the node's pods, as `BOOT/TICKS` (the
#: kernel's boot_id, and ticks since that boot). Until the one that runs now says so, the API's word
#: is old news.
IN_STEP = "labkit.dev/podlet-in-step"

#: On what a lab made on an API server that is not its own: which lab.
LAB = "labkit.dev/lab"

RESOURCES = (
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    ENDPOINTS,
    EVENTS,
    ENDPOINT_SLICES,
    CONFIG_MAPS,
    SERVICE_ACCOUNTS,
    LEASES,
    DEPLOYMENTS,
    REPLICA_SETS,
)


def find(word: str) -> Resource | None:
    """The resource that a person means by `svc`, `service`, `services` or `Service`."""
    wanted = word.lower()
    for resource in RESOURCES:
        if wanted in (resource.plural, resource.singular, *resource.short_names):
            return resource
    return None


def name_of(obj: Mapping[str, Any]) -> str:
    """`namespace/name`, or the bare name of an object without a namespace."""
    meta = obj.get("metadata", {})
    namespace = meta.get("namespace", "")
    return f"{namespace}/{meta.get('name', '')}" if namespace else str(meta.get("name", ""))
