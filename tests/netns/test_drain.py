"""A node is taken out of service and put back, by the real kubectl, in a running lab."""

from __future__ import annotations

import subprocess

import pytest

from labkit import lab
from tests.netns.command import needs_kubectl

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180), needs_kubectl]


@pytest.fixture
def opened(opened: lab.Lab) -> lab.Lab:
    opened.up()
    return opened


def kubectl(opened: lab.Lab, *words: str) -> str:
    """What it says, on both streams."""
    done = subprocess.run(
        opened.kubectl_argv(words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def where(opened: lab.Lab) -> set[str]:
    path = "jsonpath={.items[*].spec.nodeName}"
    return set(kubectl(opened, "get", "pods", "-l", "app=web", "-o", path).split())


def test_a_node_is_drained_and_comes_back(opened: lab.Lab) -> None:
    kubectl(opened, "create", "deployment", "web", "--image=labkit/echo", "--replicas=4")
    kubectl(opened, "rollout", "status", "deployment/web", "--timeout=30s")
    assert where(opened) == {"node1", "node2"}
    said = kubectl(opened, "drain", "node1", "--force", "--timeout=50s", "-v=6")
    assert "node/node1 cordoned" in said
    assert "node/node1 drained" in said
    assert "/eviction 201" in said, "it asks for evictions, and does not delete"
    kubectl(opened, "rollout", "status", "deployment/web", "--timeout=30s")
    assert where(opened) == {"node2"}
    assert "SchedulingDisabled" in kubectl(opened, "get", "node", "node1")
    assert "node.kubernetes.io/unschedulable:NoSchedule" in kubectl(
        opened, "describe", "node", "node1"
    )
    kubectl(opened, "taint", "node", "node2", "dedicated=class:NoExecute")
    chosen = "--field-selector=reason=FailedScheduling"
    none_left = "--for=jsonpath={.status.unavailableReplicas}=4"
    kubectl(opened, "wait", "deployment/web", none_left)
    homeless = ("pod", "-l", "app=web", "--field-selector=spec.nodeName=")
    kubectl(opened, "wait", *homeless, "--for=condition=PodScheduled=False")
    reason = kubectl(opened, "get", "events", chosen, "-o", "jsonpath={.items[*].message}")
    assert "1 node(s) were unschedulable" in reason
    assert "1 node(s) had untolerated taint {dedicated: class}" in reason
    kubectl(opened, "uncordon", "node1")
    kubectl(opened, "taint", "node", "node2", "dedicated-")
    kubectl(opened, "rollout", "status", "deployment/web", "--timeout=60s")
    assert "node1" in where(opened)
