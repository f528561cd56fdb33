"""What the way through the proxy costs: the same requests from node1 to a pod on node2, once to
the pod's own address, once to the Service's, where kube-proxy makes two connections of one.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.inspection import probing
from labkit.lab import Lab, api
from labkit.model import resources

NAME, PORT = "bench", 9000
REQUESTS = 300
STREAM_BYTES = 64 * 2**20

LABELS = {"name": NAME}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": NAME},
    "spec": {"ports": [{"port": PORT}], "selector": LABELS},
}


@dataclass(frozen=True, slots=True)
class Way:
    """What was measured on one way: microseconds of each request, and the stream's bytes/s."""

    connections: tuple[int, ...]
    exchanges: tuple[int, ...]
    bytes_per_s: float

    def to_json(self) -> dict[str, Any]:
        return {
            "connection_us": spread(self.connections),
            "exchange_us": spread(self.exchanges),
            "bytes_per_s": round(self.bytes_per_s),
        }


def spread(values: Sequence[int]) -> dict[str, float]:
    """Median and the 99th percentile."""
    return {"median": statistics.median(values), "p99": statistics.quantiles(values, n=100)[98]}


def measure(lab: Lab) -> dict[str, Way]:
    """Measure both ways, and take away what was needed for it."""
    pod = plan_pod()
    for obj in (SERVICE, pod):
        lab.apply(obj)
    try:
        lab.api.wait_for(
            resources.PODS, [NAME], api.lacks_readiness, namespace="default", timeout_s=30
        )
        probing.wait_until_served(lab.pool, ["node1"], f"default/{NAME}", timeout_s=30)
        pod_ip = lab.get("pods", NAME).objects[0]["status"]["podIP"]
        cluster_ip = lab.get("services", NAME).objects[0]["spec"]["clusterIP"]
        return {"direct": send(lab, pod_ip), "through the proxy": send(lab, cluster_ip)}
    finally:
        lab.delete("service", NAME)
        lab.delete("pod", NAME)


def plan_pod() -> resources.Object:
    program = Path(__file__).with_name("source.py").read_text()
    container = {
        "name": NAME,
        "image": "labkit/host",
        "command": ["/usr/bin/python3", "-c", program, str(PORT)],
        "ports": [{"containerPort": PORT}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "nodeName": "node2",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def send(lab: Lab, address: str) -> Way:
    program = Path(__file__).with_name("sink.py").read_text()
    sizes = (str(PORT), str(REQUESTS), str(STREAM_BYTES))
    done = lab.exec("node1", ["/usr/bin/python3", "-c", program, address, *sizes])
    if done.exit_status:
        raise RuntimeError(done.stderr)
    said = json.loads(done.stdout)
    return Way(
        tuple(said["connections"]), tuple(said["exchanges"]), STREAM_BYTES / said["stream_s"]
    )
