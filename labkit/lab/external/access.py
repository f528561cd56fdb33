"""What the nodes log in with at somebody else's API server: as little as that server allows.

Where it has RBAC and makes tokens, kube-proxy and the podlets get a ServiceAccount each, bound to
Kubernetes' own roles for them: `system:node-proxier` may read what kube-proxy needs, `system:node`
may do what a kubelet does. Elsewhere they get the kubeconfig's own credentials, and `labkit status`
says why. The controllers, on `control`, always have the kubeconfig's: what they do takes an
administrator.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit import errors
from labkit.client import config, http
from labkit.lab.external import claims
from labkit.model import resources
from labkit.model.resources import Object

NAMESPACE = "kube-system"
ROLES = {"kube-proxy": "system:node-proxier", "podlet": "system:node"}
#: Asked for; a server may give less. What lasts for less than a month is of no use to a lab.
YEAR_S, MONTH_S = 365 * 86400, 30 * 86400

Tokens = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Access:
    """A kubeconfig for each program. `shared` is why they are the one that was given."""

    kubeconfigs: Mapping[str, str]
    tokens: Tokens
    shared: str = ""


def ensure(
    client: http.Client,
    given: config.ClientConfig,
    mark: str,
    kept: Tokens,
    now: float | None = None,
) -> Access:
    """Make accounts, or go on with those that the lab has."""
    now = time.time() if now is None else now
    try:
        tokens = {
            component: _ensure_account(client, component, role, mark, kept.get(component), now)
            for component, role in ROLES.items()
        }
    except errors.ApiError as error:
        claims.remove(client, mark, claims.ACCESS)
        whole = config.render_kubeconfig(given)
        return Access(dict.fromkeys(ROLES, whole), {}, f"no accounts of their own: {error}")
    return Access({name: _render(given, held, name) for name, held in tokens.items()}, tokens)


def _render(given: config.ClientConfig, held: Mapping[str, Any], user: str) -> str:
    own = dataclasses.replace(given, token=held["token"], cert_pem="", key_pem="")
    return config.render_kubeconfig(own, user=user)


def _ensure_account(
    client: http.Client,
    component: str,
    role: str,
    mark: str,
    held: Mapping[str, Any] | None,
    now: float,
) -> Mapping[str, Any]:
    """The token of a component's account, which may do what `role` says."""
    client.request("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}")
    name = f"labkit-{component}-{mark}"
    meta = {"name": name, "labels": {resources.LAB: mark}}
    made = _create(
        client, resources.SERVICE_ACCOUNTS, {"metadata": {**meta, "namespace": NAMESPACE}}
    )
    if made or held is None or held["expires"] - now < MONTH_S:
        held = _ask_token(client, name, now)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
    _create(
        client, claims.BINDINGS, {"metadata": meta, "roleRef": reference, "subjects": [subject]}
    )
    return held


def _create(client: http.Client, resource: resources.Resource, obj: Object) -> bool:
    """False where there is one already."""
    try:
        client.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **obj})
    except errors.Conflict:
        return False
    return True


def _ask_token(client: http.Client, account: str, now: float) -> Mapping[str, Any]:
    """Raises ApiError, also for a token that would not last."""
    path = resources.SERVICE_ACCOUNTS.path(NAMESPACE, account, "token")
    asked = {"expirationSeconds": YEAR_S}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": asked}
    answer = client.request("POST", path, body=body)["status"]
    text = answer["expirationTimestamp"].replace("Z", "+00:00")
    expires = datetime.datetime.fromisoformat(text).timestamp()
    if expires - now < MONTH_S:
        raise errors.ApiError(f"its tokens last until {text} only", status=200)
    return {"token": answer["token"], "expires": expires}
