"""Pods: what runs. A pod is placed once, by its `spec.nodeName`, and stays there to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.apiserver.kinds import kind, nodes, pod_columns, pod_rules
from labkit.model import resources

GRACE_S = 30
#: A pod stays five minutes on a node that has become unhealthy.
_UNHEALTHY = (nodes.NOT_READY, nodes.UNREACHABLE)
_UNHEALTHY_S = 300


def is_finished(pod: resources.Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def grace_s(pod: resources.Object, asked: int | None) -> int:
    """A pod that a node runs gets time to end; the node then deletes it with no grace left."""
    if not pod["spec"].get("nodeName") or is_finished(pod):
        return 0
    if asked is None:
        return int(pod["spec"].get("terminationGracePeriodSeconds", GRACE_S))
    return asked if asked >= 0 else 1


def default(pod: resources.Object) -> None:
    spec = pod.setdefault("spec", {})
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", GRACE_S)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("enableServiceLinks", True)
    for _, container in pod_rules.containers(spec):
        _default_container(container)


def _default_container(container: resources.Object) -> None:
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or []:
        _default_reference(variable.get("valueFrom") or {})
    for name in pod_rules.PROBES:
        if name in container:
            _default_probe(container[name])


def _default_reference(source: resources.Object) -> None:
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")


def _default_probe(probe: resources.Object) -> None:
    numbers = {
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    for field, value in numbers.items():
        probe[field] = probe.get(field) or value
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")


def pull_policy(image: str) -> str:
    """An image without a tag, or tagged `latest`, is looked for anew at every start.

    >>> pull_policy("nginx"), pull_policy("registry:5000/nginx:1.25")
    ('Always', 'IfNotPresent')
    """
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"


def prepare_create(pod: resources.Object) -> None:
    """Add what a stock server's admission plugins add, and the first status."""
    spec = pod["spec"]
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    tolerations = spec.setdefault("tolerations", [])
    tolerated = {item.get("key", "") for item in tolerations}
    for key in _UNHEALTHY:
        if key not in tolerated:
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _UNHEALTHY_S,
                }
            )
    pod["status"] = {"phase": "Pending", "qosClass": quality(spec)}


def quality(spec: resources.Object) -> str:
    """The quality of service that a pod's requests and limits amount to."""
    needs = [container.get("resources") or {} for _, container in pod_rules.containers(spec)]
    if not any(need.get("requests") or need.get("limits") for need in needs):
        return "BestEffort"
    return "Guaranteed" if all(_is_guaranteed(need) for need in needs) else "Burstable"


def _is_guaranteed(need: Mapping[str, Any]) -> bool:
    limits = need.get("limits") or {}
    return {"cpu", "memory"} <= set(limits) and (need.get("requests") or limits) == limits


def fields(pod: resources.Object) -> Mapping[str, str]:
    spec, state = pod.get("spec", {}), pod.get("status", {})
    return {
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.restartPolicy": spec.get("restartPolicy", ""),
        "spec.schedulerName": spec.get("schedulerName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": state.get("phase", ""),
        "status.podIP": state.get("podIP", ""),
        "status.nominatedNodeName": state.get("nominatedNodeName", ""),
    }


KIND = kind.Kind(
    resources.PODS,
    columns=pod_columns.COLUMNS,
    row=pod_columns.row,
    default=default,
    prepare_create=prepare_create,
    validate=pod_rules.validate,
    validate_update=pod_rules.validate_update,
    fields=fields,
    grace_s=grace_s,
    further=(
        kind.Subresource("binding", "Binding", ("create",), version="v1"),
        kind.Subresource("eviction", "Eviction", ("create",), "policy", "v1"),
        kind.Subresource("log", "Pod", ("get",), version="v1"),
        kind.Subresource("exec", "PodExecOptions", ("create", "get"), version="v1"),
        kind.Subresource("attach", "PodAttachOptions", ("create", "get"), version="v1"),
        kind.Subresource("portforward", "PodPortForwardOptions", ("create", "get"), version="v1"),
    ),
    categories=("all",),
    returns_deleted=True,
)
