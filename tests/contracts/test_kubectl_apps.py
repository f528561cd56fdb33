"""The real kubectl on what makes pods."""

from __future__ import annotations

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
    made("delete", "replicasets,pods", "--all", "--timeout=10s")


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
