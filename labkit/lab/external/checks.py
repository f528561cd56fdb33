"""What cannot be, said before anything is changed. Pure, but for the question of rights."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from labkit import errors
from labkit.client import http
from labkit.lab.external import survey
from labkit.model import resources, spec
from labkit.model.resources import Object

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_ELSEWHERE = "`labkit down --purge`, then `labkit up` with another network.pods in the lab file"
#: What `up` and `down` have to do there: verb, resource and subresource.
_NEEDED = (
    ("create", "nodes", ""),
    ("delete", "nodes", ""),
    ("patch", "nodes", "status"),
    ("create", "services", ""),
    ("create", "pods", ""),
)


def check(lab: spec.LabSpec, found: survey.Survey, mark: str, example: Sequence[Object]) -> None:
    """`example` is what there is already under the names of the example. Raises on any trouble."""
    ours = {node.name for node in lab.cluster}
    for node in found.nodes:
        if node["metadata"]["name"] in ours:
            _check_mark(node, "node", mark)
        else:
            _check_pod_network(lab, node)
    for obj in example:
        _check_mark(obj, obj["kind"].lower(), mark)
    _check_service_network(lab, found.api_address)


def mark_of(obj: Object) -> str:
    return str((obj["metadata"].get("labels") or {}).get(resources.LAB, ""))


def check_rights(client: http.Client) -> None:
    """Ask the server what we may. Raises NotSupported; a server that cannot say is believed."""
    for verb, plural, subresource in _NEEDED:
        asked = {"verb": verb, "resource": plural, "subresource": subresource}
        if plural != "nodes":
            asked["namespace"] = http.DEFAULT_NAMESPACE
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        try:
            answer = client.request("POST", _REVIEWS, body=body)
        except errors.ApiError:
            return
        if not answer["status"]["allowed"]:
            what = f"{plural}/{subresource}" if subresource else plural
            raise errors.NotSupported(
                f"the kubeconfig's user may not {verb} {what} on that API server",
                hint="use the kubeconfig of an administrator of that cluster",
            )


def _check_mark(obj: Object, kind: str, mark: str) -> None:
    held, name = mark_of(obj), resources.name_of(obj)
    if held == mark:
        return
    whose = f"another lab's ({held})" if held else "not of a lab"
    raise errors.Conflict(
        f"that API server has a {kind} {name} already, and it is {whose}",
        status=409,
        hint="`labkit down` there, if it is a lab's; one API server serves one lab"
        if held
        else f"`kubectl get {kind} {obj['metadata']['name']} -o yaml` shows whose it is",
    )


def _check_pod_network(lab: spec.LabSpec, node: Object) -> None:
    text = node.get("spec", {}).get("podCIDR", "")
    if not text or ipaddress.ip_network(text).version != lab.pod_network.version:
        return
    if ipaddress.IPv4Network(text).overlaps(lab.pod_network):
        name = node["metadata"]["name"]
        raise errors.ConfigError(
            f"network.pods {lab.pod_network}: the node {name} of that API server has {text}",
            hint=_ELSEWHERE,
        )


def _check_service_network(lab: spec.LabSpec, api_address: str) -> None:
    if not api_address:
        return
    address = ipaddress.ip_address(api_address)
    named = {"network.machines": lab.machine_network, "network.pods": lab.pod_network}
    for key, network in named.items():
        if address in network:
            raise errors.ConfigError(
                f"{key} {network} holds {api_address}, which is a Service of that API server",
                hint="`labkit down --purge`, then `labkit up` with another network in the lab file",
            )
