"""What is found at somebody else's API server. Only looks.

Who runs the controllers is told by Leases: kube-controller-manager and kube-scheduler each hold one
of their own name in kube-system, and renew it every two seconds for as long as they act.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit import errors
from labkit.client import http
from labkit.deploy import services
from labkit.model import resources
from labkit.model.resources import Object

COMPONENTS = (services.CONTROLLER_MANAGER, services.SCHEDULER)
#: Beyond the duration of a lease: the clocks of two machines are never quite the same.
SLACK_S = 15.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a component's lease, and whether it was renewed lately."""

    name: str = ""
    acts: bool = False

    def __str__(self) -> str:
        if not self.name:
            return "none"
        return self.name if self.acts else f"{self.name}, silent"


@dataclass(frozen=True, slots=True)
class Survey:
    """A server and its cluster as they are now."""

    version: str
    cluster: str
    nodes: tuple[Object, ...] = field(repr=False)
    holders: Mapping[str, Holder]
    #: The clusterIP of default/kubernetes; empty where there is none.
    api_address: str = ""
    #: Who vouches for this server when it asks kubelets; empty where it does not say.
    client_ca_pem: str = field(default="", repr=False)

    def missing(self, mark: str) -> tuple[str, ...]:
        """The components that nobody runs; those that this lab runs count as missing."""
        return tuple(
            name
            for name, holder in self.holders.items()
            if not holder.acts or holder.name.endswith(f".{mark}")
        )


def look(client: http.Client) -> Survey:
    """Raises ConfigError for worthless credentials, NotSupported for too few rights."""
    try:
        cluster = client.get(resources.NAMESPACES, "kube-system")["metadata"]["uid"]
        nodes = client.list(resources.NODES)["items"]
        holders = {name: read_holder(_find(client, resources.LEASES, name)) for name in COMPONENTS}
    except errors.ApiError as error:
        raise _explain(error) from error
    service = _find(client, resources.SERVICES, "kubernetes", "default")
    published = _find(client, resources.CONFIG_MAPS, "extension-apiserver-authentication")
    return Survey(
        version=str(client.request("GET", "/version").get("gitVersion", "")),
        cluster=cluster,
        nodes=tuple(nodes),
        holders=holders,
        api_address=service["spec"].get("clusterIP", "") if service else "",
        client_ca_pem=(published.get("data") or {}).get("client-ca-file", "") if published else "",
    )


def read_holder(lease: Object | None, now: float | None = None) -> Holder:
    """The rule of leader election: who has not renewed for the lease's duration does not act."""
    spec: Mapping[str, Any] = (lease or {}).get("spec") or {}
    name = str(spec.get("holderIdentity") or "")
    renewed = spec.get("renewTime")
    if not name or not renewed:
        return Holder(name)
    age = (time.time() if now is None else now) - _seconds(renewed)
    return Holder(name, age < float(spec.get("leaseDurationSeconds") or 0) + SLACK_S)


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _find(
    client: http.Client, resource: resources.Resource, name: str, namespace: str = "kube-system"
) -> Object | None:
    """None also where one may not look, or where the server has no such kind."""
    try:
        return client.get(resource, name, namespace)
    except errors.ApiError as error:
        if error.status in (403, 404):
            return None
        raise


def _explain(error: errors.ApiError) -> errors.LabkitError:
    if error.status == 401:
        return errors.ConfigError(
            "the API server does not accept the kubeconfig's credentials",
            hint="`kubectl --kubeconfig ... auth can-i --list` tries them",
        )
    if error.status == 403:
        return errors.NotSupported(
            f"the kubeconfig's user has too few rights: {error.message}",
            hint="use the kubeconfig of an administrator of that cluster",
        )
    return error
