"""The objects that a lesson begins with, and what has to change to get there.

Only the namespace `default` is a lesson's; the Service `kubernetes` in it belongs to the cluster.
An object that a lesson made says so in an annotation, and simply goes when the next one needs the
place. All others are the learner's own: they are stashed before they go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.lab import objects as manifests
from labkit.model import example, resources
from labkit.model.resources import Object

#: On every object that a lesson made: the lesson's name.
MADE_BY = "labkit.dev/lesson"
NAMESPACE = "default"
#: What makes others comes before what it makes.
KINDS = (
    resources.DEPLOYMENTS,
    resources.REPLICA_SETS,
    resources.SERVICES,
    resources.ENDPOINTS,
    resources.PODS,
)
_OF_THE_CLUSTER = "kubernetes"


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes (the learner's own are kept in `stash` first), and what is applied."""

    delete: tuple[Object, ...]
    stash: tuple[Object, ...]
    apply: tuple[Object, ...]


def wanted(name: str, more: str, lesson: str) -> tuple[Object, ...]:
    """The objects of a checkpoint and those that the lesson adds, marked as the lesson's."""
    pods = tuple(obj for obj in example.objects() if obj["kind"] == "Pod")
    named: dict[str, tuple[Object, ...]] = {
        "nothing": (),
        "pods": pods,
        "example": example.objects(),
    }
    added = manifests.parse_manifests(more, where=f"lesson {lesson}") if more.strip() else []
    return tuple(_marked(obj, lesson) for obj in (*named[name], *added))


def plan(have: Sequence[Object], want: Sequence[Object]) -> Plan:
    """Compare what is there with what should be. What is alike stays untouched."""
    targets = {_key(obj): obj for obj in want}
    right = {
        _key(obj) for obj in have if _key(obj) in targets and _is_like(obj, targets[_key(obj)])
    }
    going = tuple(obj for obj in have if _key(obj) not in right and not _is_others(obj, have))
    return Plan(
        delete=going,
        stash=tuple(strip(obj) for obj in going if _is_own(obj) and _key(obj) not in targets),
        apply=tuple(obj for obj in want if _key(obj) not in right),
    )


def strip(obj: Object) -> Object:
    """The object as a person would have written it: without what the cluster filled in."""
    meta = obj["metadata"]
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if key not in _FILLED_IN}
    kept = {key: meta[key] for key in ("name", "namespace", "labels") if meta.get(key)}
    more = {"spec": spec} if spec else {key: obj[key] for key in ("subsets",) if key in obj}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": kept, **more}


_FILLED_IN = ("clusterIP", "clusterIPs", "nodeName", "serviceAccount", "serviceAccountName")


def _marked(obj: Object, lesson: str) -> Object:
    meta = dict(obj["metadata"])
    meta["annotations"] = {**(meta.get("annotations") or {}), MADE_BY: lesson}
    return {**obj, "metadata": {"namespace": NAMESPACE, **meta}}


def _key(obj: Object) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


def _is_own(obj: Object) -> bool:
    return MADE_BY not in (obj["metadata"].get("annotations") or {})


def _is_others(obj: Object, have: Sequence[Object]) -> bool:
    """Nobody's to delete: the cluster's own, what a controller made, what goes already."""
    meta = obj["metadata"]
    if meta["name"] == _OF_THE_CLUSTER or meta.get("deletionTimestamp"):
        return True
    # The endpoints of a Service with a selector are its controller's, and go with the Service.
    selected = any(
        one["kind"] == "Service"
        and one["metadata"]["name"] == meta["name"]
        and one["spec"].get("selector")
        for one in have
    )
    return bool(meta.get("ownerReferences")) or (obj["kind"] == "Endpoints" and selected)


def _is_like(have: Object, want: Object) -> bool:
    if have["metadata"].get("deletionTimestamp"):
        return False
    return bool(_essence(have, want) == _essence(want, want))


def _essence(obj: Object, want: Object) -> Any:
    """What makes an object what it is: all that a learner could have changed of it."""
    spec: Mapping[str, Any] = obj.get("spec") or {}
    labels = obj["metadata"].get("labels") or {}
    if obj["kind"] == "Service":
        ports = [_port(one, want) for one in spec.get("ports") or ()]
        options = {key: spec.get(key) or default for key, default in _SERVICE_OPTIONS.items()}
        return labels, ports, spec.get("selector") or {}, options
    if obj["kind"] == "Pod":
        containers = [
            {key: each.get(key) for key in ("name", "image", "command", "args", "env")}
            | {"ports": [port["containerPort"] for port in each.get("ports") or ()]}
            for each in spec["containers"]
        ]
        return labels, containers, _is_failed(obj)
    return labels, spec, obj.get("subsets")


_SERVICE_OPTIONS = {
    "type": "ClusterIP",
    "sessionAffinity": "None",
    "externalTrafficPolicy": "Cluster",
    "externalIPs": [],
    "publishNotReadyAddresses": False,
}


def _port(port: Mapping[str, Any], want: Object) -> Mapping[str, Any]:
    """A port, with the nodePort only where the wanted Service names one itself."""
    kept = {
        "name": port.get("name", ""),
        "protocol": port.get("protocol", "TCP"),
        "port": port["port"],
        "targetPort": port.get("targetPort", port["port"]),
    }
    if any("nodePort" in one for one in want["spec"]["ports"]):
        kept["nodePort"] = port.get("nodePort", 0)
    return kept


def _is_failed(pod: Object) -> bool:
    return bool((pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"))


def path(obj: Object) -> str:
    """As lessons name an object: `pod/app1-1`."""
    return f"{obj['kind'].lower()}/{obj['metadata']['name']}"


def pods_of(objects: Iterable[Object]) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects if obj["kind"] == "Pod"]
