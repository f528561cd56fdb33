"""The real kubectl on the kinds around a Service: configuration, accounts, leases, rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts import apiserver
from tests.contracts.test_kubectl import pod


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.Kubectl]:
    with apiserver.running(tmp_path_factory.mktemp("kubectl")) as server:
        yield apiserver.Kubectl(server)


def test_config_maps(kubectl: apiserver.Kubectl) -> None:
    kubectl("create", "configmap", "web", "--from-literal=a=b", "--from-literal=c=d")
    header, *rows = kubectl.rows("cm")
    assert header == ["NAME", "DATA", "AGE"]
    assert ["web", "2"] in [row[:2] for row in rows]
    assert "a:\n----\nb\n" in kubectl("describe", "configmap", "web")
    kubectl("delete", "configmap", "web")


def test_a_namespace_comes_with_an_account(kubectl: apiserver.Kubectl) -> None:
    kubectl("create", "namespace", "room")
    kubectl("-n", "room", "wait", "--for=create", "sa/default", "--timeout=10s")
    assert kubectl.rows("sa", "-n", "room")[1][:2] == ["default", "0"]
    kubectl("-n", "room", "create", "serviceaccount", "bot")
    kubectl("delete", "namespace", "room", "--timeout=10s")


def test_leases(kubectl: apiserver.Kubectl) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "node1", "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": "node1", "renewTime": "2026-01-01T00:00:00.000000Z"},
    }
    kubectl("apply", "-f", "-", stdin=apiserver.manifest(lease))
    header, row = kubectl.rows("leases", "-n", "kube-node-lease")
    assert (header, row[:2]) == (["NAME", "HOLDER", "AGE"], ["node1", "node1"])


def test_events_by_either_group(kubectl: apiserver.Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=apiserver.manifest(pod("a")))
    kubectl("wait", "pod/a", "--for=condition=PodScheduled=False", "--timeout=10s")
    for resource in ("events", "events.events.k8s.io"):
        assert "FailedScheduling" in kubectl("get", resource)
    assert "FailedScheduling" in kubectl("events", "--for", "pod/a")
    kubectl("delete", "pod", "a")


def test_may_i(kubectl: apiserver.Kubectl) -> None:
    assert kubectl("auth", "can-i", "*", "*") == "yes\n"
    proxy = apiserver.Kubectl(kubectl.server, token="proxy")
    assert proxy("auth", "can-i", "list", "services") == "yes\n"
    refused = proxy.run("auth", "can-i", "create", "pods")
    assert (refused.returncode, refused.stdout) == (1, "no\n")
    listed = proxy("auth", "can-i", "--list")
    assert "[get list watch]" in listed
    assert "selfsubjectaccessreviews.authorization.k8s.io" in listed


def test_who_am_i(kubectl: apiserver.Kubectl) -> None:
    node = apiserver.Kubectl(kubectl.server, token="node1")
    told = node("auth", "whoami")
    assert "system:node:node1" in told
    assert "system:nodes" in told
