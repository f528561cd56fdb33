"""What the API is told about the node: that it exists, what it has, and how it is.

The kubelet registers its own Node; its pod network and labels are in the command line. The status
says whether it is Ready, and why not; that it still lives is said by its lease (see `lease`). Pods
go to no other node.
"""

from __future__ import annotations

import logging
import os
import time

from labkit import errors, version
from labkit.client import http
from labkit.model import resources
from labkit.model.resources import Object
from labkit.podlet import options, status

log = logging.getLogger(__name__)

KUBELET_VERSION = "v1.32.0-labkit"
#: Kubernetes' own limit per node.
PODS_MAX = 110
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def render(given: options.Options, *, trouble: str = "", before: Object | None = None) -> Object:
    """The whole Node. `trouble` says why it is not ready; `before` is its status until now."""
    labels = {
        "kubernetes.io/hostname": given.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": _architecture(),
        **dict(given.labels),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": given.name, "labels": labels},
        "spec": {
            "podCIDR": str(given.pod_network),
            "podCIDRs": [str(given.pod_network)],
            "taints": [dict(taint) for taint in given.taints],
        },
        "status": render_status(given, trouble=trouble, before=before or {}),
    }


def render_status(given: options.Options, *, trouble: str, before: Object) -> Object:
    capacity = {
        "cpu": str(len(os.sched_getaffinity(0))),
        "memory": f"{_memory_kib()}Ki",
        "pods": str(PODS_MAX),
    }
    return {
        "addresses": [
            {"type": "InternalIP", "address": str(given.address)},
            {"type": "Hostname", "address": given.name},
        ],
        "capacity": capacity,
        "allocatable": capacity,
        "conditions": [_ready(trouble, before)],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": given.port}},
        "nodeInfo": _info(),
    }


def register(client: http.Client, node: Object) -> None:
    """Create the Node, or take over the one that is there: its labels and status become ours."""
    try:
        created = client.create(resources.NODES, node)
        log.info("registered node %s", node["metadata"]["name"])
    except errors.Conflict:
        _take_over(client, node)
        created = {}
    if not created.get("status", {}).get("conditions"):
        send_status(client, node)


def send_status(client: http.Client, node: Object) -> None:
    name = node["metadata"]["name"]
    client.patch(resources.NODES, name, "", {"status": node["status"]}, subresource="status")


def began() -> str:
    """Say when this process began, as `BOOT/TICKS`: whoever follows it in this boot has more."""
    ticks = next(iter(_lines("/proc/self/stat"))).rpartition(")")[2].split()[19]
    return f"{_boot_id()}/{ticks}"


def _take_over(client: http.Client, node: Object) -> None:
    name = node["metadata"]["name"]
    found = client.get(resources.NODES, name)
    ours, theirs = node["spec"]["podCIDR"], found.get("spec", {}).get("podCIDR")
    if theirs and theirs != ours:
        log.error("node %s has the pod network %s and not %s", name, theirs, ours)
    patch: Object = {"metadata": {"labels": node["metadata"]["labels"]}}
    if not theirs:
        patch["spec"] = {"podCIDR": ours, "podCIDRs": [ours]}
    client.patch(resources.NODES, name, "", patch)


def _ready(trouble: str, before: Object) -> Object:
    now = status.render_time(time.time())
    known = {condition["type"]: condition for condition in before.get("conditions") or ()}
    old = known.get("Ready", {})
    value = "False" if trouble else "True"
    same = old.get("status") == value
    return {
        "type": "Ready",
        "status": value,
        "reason": "KubeletNotReady" if trouble else "KubeletReady",
        "message": trouble or "kubelet is posting ready status",
        "lastHeartbeatTime": now,
        "lastTransitionTime": old["lastTransitionTime"] if same else now,
    }


def _info() -> Object:
    return {
        "machineID": _first_line("/etc/machine-id"),
        "systemUUID": "",
        "bootID": _boot_id(),
        "kernelVersion": os.uname().release,
        "osImage": _os_name(),
        "containerRuntimeVersion": f"labkit://{version.__version__}",
        "kubeletVersion": KUBELET_VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": _architecture(),
    }


def _architecture() -> str:
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def _memory_kib() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024


def _os_name() -> str:
    for line in _lines("/etc/os-release"):
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip('"')
    return "Linux"


def _boot_id() -> str:
    return _first_line("/proc/sys/kernel/random/boot_id")


def _first_line(path: str) -> str:
    return next(iter(_lines(path)), "")


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            return file.read().splitlines()
    except OSError:
        return []
