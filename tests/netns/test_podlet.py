"""The podlet as a program: real namespaces, real processes, the real API server."""

from __future__ import annotations

import json

from tests.netns import podlet_node
from tests.netns.isolation import isolated, run
from tests.netns.podlet_node import FOLDER


def netns_names() -> list[str]:
    return [line.split()[0] for line in run("ip", "netns").splitlines()]


def wires() -> list[str]:
    return [link["ifname"] for link in json.loads(run("ip", "-j", "link", "show", "type", "veth"))]


@isolated
def test_a_pod_comes_up_answers_and_goes_without_a_trace() -> None:
    with podlet_node.running() as node:
        node.create_pod("app1", ports=[{"containerPort": 8080}])
        pod = node.wait_ready("app1")
        assert pod["status"]["podIP"] == "10.244.1.2"
        assert pod["status"]["hostIP"] == "127.0.0.1"
        assert pod["status"]["phase"] == "Running"
        assert netns_names() == ["default_app1"]
        assert len(wires()) == 1

        told = node.ask(pod, "/hello?a=b")
        assert (told["pod"], told["namespace"], told["node"]) == ("app1", "default", "node1")
        assert told["client"]["address"] == "10.244.1.1", "the bridge is the node's end"
        assert told["request"]["path"] == "/hello?a=b"
        inside = run("ip", "netns", "exec", "default_app1", "curl", "-sS", "10.244.1.2:8080")
        assert json.loads(inside)["client"]["address"] == "10.244.1.2"

        node.delete_pod("app1")
        assert netns_names() == []
        assert wires() == []
        assert list((FOLDER / "logs").iterdir()) == []
        assert list((FOLDER / "run/pods").iterdir()) == []
        reasons = [reason for reason, _ in node.events("app1")]
        assert reasons[-4:] == ["Pulled", "Created", "Started", "Killing"]
