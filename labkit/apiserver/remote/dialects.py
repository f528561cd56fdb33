"""What an older API server calls differently.

EndpointSlices are the one kind of ours that moved within the releases we speak with: until 1.20
they are `discovery.k8s.io/v1beta1`, where an endpoint's node is one of its `topology` labels; since
1.21 they are `v1`, and the node has a field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labkit import errors
from labkit.client import http
from labkit.model import resources

Convert = Callable[[resources.Object], resources.Object]
_HOSTNAME = "kubernetes.io/hostname"


def _leave(obj: resources.Object) -> resources.Object:
    return obj


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where a server has a kind, and how its objects are read and written there."""

    resource: resources.Resource
    read: Convert = _leave
    write: Convert = _leave


def learn(client: http.Client) -> dict[resources.Resource, Dialect | None]:
    """The kinds that this server calls differently; None for one that it does not have."""
    slices = resources.ENDPOINT_SLICES
    try:
        group = client.request("GET", f"/apis/{slices.group}")
    except errors.NotFound:
        return {slices: None}
    served = {entry["version"] for entry in group.get("versions") or ()}
    if slices.version in served:
        return {}
    if "v1beta1" not in served:
        return {slices: None}
    older = dataclasses.replace(slices, version="v1beta1")
    return {slices: Dialect(older, read_slice, write_slice)}


def read_slice(obj: resources.Object) -> resources.Object:
    """A v1beta1 slice as one of v1."""
    return {**obj, "endpoints": [_read_endpoint(each) for each in obj.get("endpoints") or ()]}


def write_slice(obj: resources.Object) -> resources.Object:
    """A v1 slice as one of v1beta1."""
    return {**obj, "endpoints": [_write_endpoint(each) for each in obj.get("endpoints") or ()]}


def _read_endpoint(endpoint: Mapping[str, object]) -> resources.Object:
    read = {key: value for key, value in endpoint.items() if key != "topology"}
    topology = endpoint.get("topology")
    if isinstance(topology, dict) and _HOSTNAME in topology:
        read.setdefault("nodeName", topology[_HOSTNAME])
    return read


def _write_endpoint(endpoint: Mapping[str, object]) -> resources.Object:
    written = {key: value for key, value in endpoint.items() if key != "nodeName"}
    if endpoint.get("nodeName"):
        written["topology"] = {_HOSTNAME: endpoint["nodeName"]}
    return written
