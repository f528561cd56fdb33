"""What exists in every cluster: the four namespaces, and the Service that is the API server."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from labkit import errors
from labkit.apiserver import registry
from labkit.apiserver.kinds import endpoints, namespaces, services
from labkit.apiserver.kinds import endpointslices as slices
from labkit.apiserver.kinds import kind as kind_module
from labkit.model import resources

#: By this name the server itself writes.
MANAGER = "kube-apiserver"


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """`service` is the clusterIP of default/kubernetes; `advertised` and `port` are behind it."""

    service: IPv4Address
    advertised: IPv4Address
    port: int


def ensure_initial(objects: registry.Registry, api: ApiAddress) -> None:
    """Create what is missing. Idempotent: done at every start."""
    objects = objects.as_manager(MANAGER)
    for name in namespaces.INITIAL:
        if objects.store.get(resources.NAMESPACES, "", name) is None:
            objects.create(namespaces.KIND, "", {"metadata": {"name": name}})
    ensure_api_service(objects, api)


def ensure_api_service(objects: registry.Registry, api: ApiAddress) -> None:
    """Put default/kubernetes and its Endpoints right, also after somebody deleted them.

    Raises Conflict when the address is another Service's: the network was changed under it.
    """
    if objects.store.get(resources.SERVICES, "default", "kubernetes") is None:
        try:
            objects.create(services.KIND, "default", services.api_service(api.service, api.port))
        except errors.Invalid as error:
            raise errors.ConfigError(
                f"default/kubernetes cannot have the address {api.service}: {error.message}",
                hint="delete the Service that has it, or choose another --service-cluster-ip-range",
            ) from error
    for kind, wanted in ((endpoints.KIND, _plan_endpoints(api)), (slices.KIND, _plan_slice(api))):
        _ensure(objects, kind, wanted)


def _ensure(objects: registry.Registry, kind: kind_module.Kind, wanted: resources.Object) -> None:
    if objects.store.get(kind.resource, "default", "kubernetes") is None:
        objects.create(kind, "default", wanted)
        return

    def mend(found: resources.Object) -> resources.Object:
        labels = {**found["metadata"], "labels": wanted["metadata"]["labels"]}
        return {**found, **wanted, "metadata": labels}

    objects.update(kind, "default", "kubernetes", mend)


def _plan_endpoints(api: ApiAddress) -> resources.Object:
    return {
        "metadata": {"name": "kubernetes", "labels": {slices.SKIP_MIRROR: "true"}},
        "subsets": [
            {
                "addresses": [{"ip": str(api.advertised)}],
                "ports": [{"name": "https", "port": api.port, "protocol": "TCP"}],
            }
        ],
    }


def _plan_slice(api: ApiAddress) -> resources.Object:
    return {
        "metadata": {"name": "kubernetes", "labels": {slices.SERVICE_NAME: "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(api.advertised)], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": api.port, "protocol": "TCP"}],
    }
