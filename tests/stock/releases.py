"""What Kubernetes changed between the release that was asked (1.20) and the one that we speak.

Only what every object of a kind has, or lacks, is here. What concerns one answer alone stands
beside it, as its `later`.
"""

from __future__ import annotations

from typing import Any


def modernise(value: Any) -> Any:
    """An answer of 1.20 as later releases give it. Changes what it is given."""
    if isinstance(value, list):
        return [modernise(each) for each in value]
    if not isinstance(value, dict):
        return value
    for key, inner in value.items():
        value[key] = modernise(inner)
    if "sessionAffinity" in value and "ports" in value:
        _service_spec(value)
    if value.get("kind") == "Namespace" and "spec" in value:
        _namespace(value)
    if value.get("kind") == "Pod" and "spec" in value:
        _pod_spec(value["spec"])
    return value


def _namespace(obj: dict[str, Any]) -> None:
    """1.21: a label that says the name, for selectors."""
    metadata = obj["metadata"]
    name = {"kubernetes.io/metadata.name": metadata["name"]}
    metadata["labels"] = {**metadata.get("labels", {}), **name}


def _pod_spec(spec: dict[str, Any]) -> None:
    """Not of a release: the server that was asked ran without the plugin that fills this in."""
    for field in ("serviceAccount", "serviceAccountName"):
        spec.setdefault(field, "default")


def _service_spec(spec: dict[str, Any]) -> None:
    """1.22: internalTrafficPolicy. 1.24: allocateLoadBalancerNodePorts is always said."""
    if spec.get("type") != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec.get("type") == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result
