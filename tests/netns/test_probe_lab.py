"""A real lab: so many requests move each rule on their way by just so many."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from labkit import lab
from labkit.inspection import probing
from labkit.inspection.predict import asking
from labkit.lab import api
from labkit.model import resources

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
COUNT = 6

UDP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shout", "namespace": "default"},
    "spec": {
        "selector": {"name": "shout"},
        "ports": [{"port": 53, "targetPort": 5353, "protocol": "UDP"}],
    },
}
SHOUTER: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "shout", "namespace": "default", "labels": {"name": "shout"}},
    "spec": {
        "nodeName": "node2",
        "containers": [
            {
                "name": "echo",
                "image": "labkit/echo",
                "ports": [{"containerPort": 5353, "protocol": "UDP"}],
            }
        ],
    },
}

EMPTY: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "empty", "namespace": "default"},
    "spec": {"selector": {"name": "nobody"}, "ports": [{"port": 80}]},
}


@pytest.fixture
def opened(opened: lab.Lab) -> lab.Lab:
    opened.up()
    return opened


def test_the_fingerprint_of_each_way_in(opened: lab.Lab) -> None:
    pod = "app1-1"
    home = str(opened.exec(pod, ["cat", "/proc/sys/kernel/hostname"]).node)
    for sender, via, node, chain in (
        (f"pod/{pod}", "cluster-ip", home, "KUBE-PORTALS-CONTAINER"),
        (f"node/{home}", "cluster-ip", home, "KUBE-PORTALS-HOST"),
        (f"pod/{pod}", "node-port", home, "KUBE-NODEPORT-CONTAINER"),
        (f"node/{home}", "node-port", home, "KUBE-NODEPORT-HOST"),
        ("client", "node-port", "node2", "KUBE-NODEPORT-CONTAINER"),
    ):
        request = asking.Request("app1", sender=sender, via=via, node=node)
        found = opened.probe(request, count=COUNT)
        assert found.ok, repr(found)
        of_service = {
            (one.node, one.chain): one.packets
            for one in found.moved
            if '"default/app1"' in one.rule and one.table == "nat"
        }
        assert of_service == {(node, chain): COUNT}, repr(found)
        assert sum(one.requests for one in found.answered) == COUNT
        assert {one.requests for one in found.answered} == {2}  # three pods, in turn


def test_UDP_is_asked_too(opened: lab.Lab) -> None:
    opened.apply(SHOUTER)
    opened.apply(UDP)
    opened.api.wait_for(
        resources.PODS, ["shout"], api.lacks_readiness, namespace="default", timeout_s=30
    )
    probing.wait_until_served(opened.pool, ["node1"], "default/shout", timeout_s=30)
    found = opened.probe("shout")
    assert found.ok, repr(found)
    assert [one.pod for one in found.answered] == ["shout"]


def test_without_pods_the_rule_counts_and_nobody_answers(opened: lab.Lab) -> None:
    opened.apply(EMPTY)
    probing.wait_until_served(opened.pool, ["node1"], "default/empty", timeout_s=30)
    done = subprocess.run(
        [sys.executable, "-m", "labkit.cli", "probe", "empty", "--name=t", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    found = json.loads(done.stdout)
    assert (found["answered"], found["failed"][0]["requests"]) == ([], 1)
    assert [one["packets"] for one in found["moved"] if one["chain"] == "KUBE-PORTALS-HOST"] == [1]
