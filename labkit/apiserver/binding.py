"""Binding: the one write that places a pod on a node. The scheduler's, or anybody's."""

from __future__ import annotations

from labkit.apiserver import conditions, status, timestamps
from labkit.apiserver.controllers import controller
from labkit.apiserver.kinds import pods
from labkit.model import resources


def bind(objects: controller.Cluster, namespace: str, name: str, node: str) -> None:
    """Place a pod. Raises Conflict when it is placed already, or is being deleted.

    Without a node it is ApiError 500, oddly, but so it is with kube-apiserver.
    """
    if not node:
        raise status.failure(500, "", "target.name: Required value")

    def place(pod: resources.Object) -> resources.Object:
        _check(pod, name)
        pod["spec"]["nodeName"] = node
        now = timestamps.render(objects.clock())
        conditions.set_condition(pod, "PodScheduled", "True", now=now)
        return pod

    objects.update(pods.KIND, namespace, name, place, subresource="binding")


def _check(pod: resources.Object, name: str) -> None:
    held = pod["spec"].get("nodeName")
    why = f'pod {name} is already assigned to node "{held}"' if held else ""
    if pod["metadata"].get("deletionTimestamp"):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    if why:
        raise status.conflict(resources.Resource("Pod", "pods/binding"), name, why)
