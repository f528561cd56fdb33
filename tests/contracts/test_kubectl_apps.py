"""The real kubectl on what makes pods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts import apiserver

WEB: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "echo", "image": "labkit/echo"}]},
        },
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.Server]:
    with apiserver.running(tmp_path_factory.mktemp("kubectl")) as made:
        yield made


@pytest.fixture
def kubectl(server: apiserver.Server) -> Iterator[apiserver.Kubectl]:
    made = apiserver.Kubectl(server)
    yield made
    made("delete", "deployments,replicasets,pods", "--all", "--timeout=10s")


def count_pods(kubectl: apiserver.Kubectl, number: int) -> None:
    kubectl("wait", "rs/web", f"--for=jsonpath={{.status.replicas}}={number}", "--timeout=10s")
    assert len(kubectl("get", "pods", "-l", "app=web", "-o", "name").splitlines()) == number


class TestReplicaSets:
    def test_it_makes_as_many_pods_as_asked_for(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=apiserver.manifest(WEB))
        count_pods(kubectl, 2)
        header, row = kubectl.rows("rs", "-o", "wide")
        wide = ["CONTAINERS", "IMAGES", "SELECTOR"]
        assert header == ["NAME", "DESIRED", "CURRENT", "READY", "AGE", *wide]
        assert row[:4] == ["web", "2", "2", "0"]
        assert row[5:] == ["echo", "labkit/echo", "app=web"]
        assert kubectl("scale", "rs", "web", "--replicas=3") == "replicaset.apps/web scaled\n"
        count_pods(kubectl, 3)
        described = kubectl("describe", "rs", "web")
        assert "3 current / 3 desired" in described
        assert "SuccessfulCreate" in described

    def test_its_pods_go_with_it(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=apiserver.manifest(WEB))
        count_pods(kubectl, 2)
        kubectl("delete", "rs", "web", "--cascade=foreground", "--timeout=10s")
        assert kubectl("get", "pods", "-o", "name") == ""

    def test_its_pods_stay_when_told_so(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=apiserver.manifest(WEB))
        count_pods(kubectl, 2)
        kubectl("delete", "rs", "web", "--cascade=orphan", "--timeout=10s")
        assert len(kubectl("get", "pods", "-o", "name").splitlines()) == 2
        kubectl("create", "-f", "-", stdin=apiserver.manifest(WEB))
        count_pods(kubectl, 2)


def make_ready(kubectl: apiserver.Kubectl, wanted: int, image: str) -> None:
    """Play the podlets until so many pods of the image are ready."""
    path = "/api/v1/namespaces/default/pods"
    state = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    patch = json.dumps({"status": state})
    while True:
        pods = kubectl.server.request("GET", path)[1]["items"]
        for pod in pods:
            if pod["status"]["phase"] == "Pending":
                name = pod["metadata"]["name"]
                kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch)
        images = [pod["spec"]["containers"][0]["image"] for pod in pods]
        if images == [image] * wanted and all(p["status"]["phase"] == "Running" for p in pods):
            return


class TestDeployments:
    def test_a_rollout_and_the_way_back(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "deployment", "web", "--image=labkit/echo:1", "--replicas=3")
        make_ready(kubectl, 3, "labkit/echo:1")
        status = ("rollout", "status", "deployment/web", "--timeout=10s")
        assert kubectl(*status).endswith('deployment "web" successfully rolled out\n')
        header, row = kubectl.rows("deploy")
        assert header == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
        assert row[:4] == ["web", "3/3", "3", "3"]
        kubectl("set", "image", "deployment/web", "echo=labkit/echo:2")
        make_ready(kubectl, 3, "labkit/echo:2")
        assert "successfully rolled out" in kubectl(*status)
        described = kubectl("describe", "deployment", "web")
        assert "RollingUpdateStrategy:  25% max unavailable, 25% max surge" in described
        assert "Scaled down replica set" in described
        history = kubectl("rollout", "history", "deployment/web").split()
        assert history[3:] == ["1", "<none>", "2", "<none>"]
        kubectl("rollout", "undo", "deployment/web")
        make_ready(kubectl, 3, "labkit/echo:1")
        assert "successfully rolled out" in kubectl(*status)
        assert len(kubectl.rows("rs")) == 3

    def test_scale_restart_and_delete(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "deployment", "web", "--image=labkit/echo:1")
        make_ready(kubectl, 1, "labkit/echo:1")
        kubectl("scale", "deployment", "web", "--replicas=2")
        make_ready(kubectl, 2, "labkit/echo:1")
        before = kubectl("get", "pods", "-o", "name")
        kubectl("rollout", "restart", "deployment/web")
        kubectl("wait", "deployment/web", "--for=jsonpath={.status.updatedReplicas}=1")
        make_ready(kubectl, 2, "labkit/echo:1")
        kubectl("rollout", "status", "deployment/web", "--timeout=10s")
        assert not set(before.split()) & set(kubectl("get", "pods", "-o", "name").split())
        kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=10s")
        assert kubectl("get", "rs,pods", "-o", "name") == ""
