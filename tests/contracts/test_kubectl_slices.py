"""The real kubectl on EndpointSlices: what stands behind a Service, as learners look at it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts import apiserver
from tests.contracts.test_kubectl import APP1, pod, ready_node, wait_for


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[apiserver.Kubectl]:
    with apiserver.running(tmp_path) as server, ready_node(server):
        yield apiserver.Kubectl(server)


def run_pod(kubectl: apiserver.Kubectl, name: str, address: str) -> None:
    """Play the podlet: the pod runs, and is ready."""
    wait_for(kubectl, f"pod/{name}", ".spec.nodeName", "node1")
    path = f"/api/v1/namespaces/default/pods/{name}"
    _, found = kubectl.server.request("GET", path, token="node1")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
    found["status"] |= {"phase": "Running", "podIP": address, "conditions": [ready]}
    assert kubectl.server.request("PUT", f"{path}/status", found, token="node1")[0] == 200


def test_a_service_and_what_is_behind_it(kubectl: apiserver.Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=apiserver.manifest(APP1, pod("a"), pod("b")))
    run_pod(kubectl, "a", "10.244.1.2")
    run_pod(kubectl, "b", "10.244.1.3")
    chosen = ("endpointslices", "-l", "kubernetes.io/service-name=app1")
    path = "--for=jsonpath={.endpoints[1].addresses[0]}=10.244.1.3"
    kubectl("wait", *chosen, path, "--timeout=10s")
    header, row = kubectl.rows(*chosen)
    assert header == ["NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"]
    assert row[0].startswith("app1-")
    assert row[1:4] == ["IPv4", "8080", "10.244.1.2,10.244.1.3"]
    described = kubectl("describe", "service", "app1")
    endpoints = next(line for line in described.splitlines() if line.startswith("Endpoints:"))
    assert endpoints.split()[1].split(",") == ["10.244.1.2:8080", "10.244.1.3:8080"]
    kubectl("delete", "service", "app1")
    kubectl("wait", *chosen, "--for=delete", "--timeout=10s")
    names = apiserver.names(kubectl.rows("endpointslices"))
    assert names == ["kubernetes"]


def test_the_group_is_known(kubectl: apiserver.Kubectl) -> None:
    assert "discovery.k8s.io/v1" in kubectl("api-versions").split()
    explained = kubectl("explain", "endpointslice.endpoints.conditions.ready")
    assert "FIELD: ready <boolean>" in explained
    slice_ = json.loads(kubectl("get", "endpointslice", "kubernetes", "-o", "json"))
    assert slice_["apiVersion"] == "discovery.k8s.io/v1"
    assert "Name:         kubernetes" in kubectl("describe", "endpointslice", "kubernetes")
