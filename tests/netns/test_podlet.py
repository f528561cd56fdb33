"""The podlet as a program: real namespaces, real processes, the real API server."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from labkit.model import resources
from tests.netns import podlet_node
from tests.netns.isolation import isolated, run
from tests.netns.podlet_node import FOLDER, container_of


def netns_names() -> list[str]:
    return [line.split()[0] for line in run("ip", "netns").splitlines()]


def wires() -> list[str]:
    links = json.loads(run("ip", "-j", "link", "show", "type", "veth"))
    return [link["ifname"] for link in links if link["ifname"] not in ("eth0", "wire")]


@isolated
def test_a_pod_comes_up_answers_and_goes_without_a_trace() -> None:
    with podlet_node.running() as node:
        node.create_pod("app1", ports=[{"containerPort": 8080}])
        pod = node.wait_ready("app1")
        assert pod["status"]["podIP"] == "10.244.1.2"
        assert pod["status"]["hostIP"] == "192.168.56.10"
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
        told = {reason for reason, _ in node.events("app1")}
        assert told >= {"Scheduled", "Pulled", "Created", "Started", "Killing"}


@isolated
def test_the_echo_answers_on_every_declared_port() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 81}, {"containerPort": 53, "protocol": "UDP"}]
    with podlet_node.running() as node:
        node.create_pod("many", image="labkit/echo:v9", ports=ports)
        pod = node.wait_ready("many")
        assert node.ask(pod, port=80)["server"]["port"] == 80
        assert node.ask(pod, port=81)["server"]["port"] == 81
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.sendto(b"hello", (pod["status"]["podIP"], 53))
            told = json.loads(sock.recv(4096))
        assert told["protocol"] == "UDP"
        assert told["request"]["payload"] == "hello"
        assert told["server"] == {"address": pod["status"]["podIP"], "port": 53}


@isolated
def test_a_pod_of_its_own_command_knows_who_it_is() -> None:
    script = (
        "echo $(hostname) $POD_IP $NODE_NAME $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT"
        " $LABEL $WORD $0; ps -A -o pid,comm | wc -l; exit 3"
    )
    env = [
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['name']"}}},
        {"name": "WORD", "value": "$(POD_NAME)!"},
    ]
    with podlet_node.running() as node:
        node.create_pod(
            "script",
            image="labkit/host",
            command=["sh", "-c", script],
            args=["$(LABEL)"],
            env=env,
            pod={"restartPolicy": "Never"},
        )
        pod = node.wait_pod("script", lambda pod: pod["status"].get("phase") == "Failed")
        ended = container_of(pod)["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (3, "Error")
        first, processes = node.log_of(pod).splitlines()
        assert first == "script 10.244.1.2 node1 10.96.0.1 443 script script! script"
        assert int(processes) < 10, "it sees its own processes alone"
        assert netns_names() == [], "a pod that has ended needs no network"


@isolated
def test_the_restart_policy_decides_what_happens_after_an_end() -> None:
    with podlet_node.running() as node:
        for name, command, policy in (
            ("done", "true", "OnFailure"),
            ("always", "true", "Always"),
            ("failing", "false", "OnFailure"),
        ):
            node.create_pod(
                name, image="labkit/host", command=[command], pod={"restartPolicy": policy}
            )
        done = node.wait_pod("done", lambda pod: pod["status"].get("phase") == "Succeeded")
        assert container_of(done)["state"]["terminated"]["reason"] == "Completed"
        for name, code in (("always", 0), ("failing", 1)):
            pod = node.wait_pod(name, is_backing_off)
            assert pod["status"]["phase"] == "Running"
            assert container_of(pod)["restartCount"] == 1, "the first restart does not wait"
            assert container_of(pod)["lastState"]["terminated"]["exitCode"] == code
            node.wait_event(name, "BackOff")


def is_backing_off(pod: Any) -> bool:
    waiting = container_of(pod).get("state", {}).get("waiting", {})
    return bool(waiting.get("reason") == "CrashLoopBackOff")


@isolated
def test_what_cannot_run_here_says_so_and_can_be_mended() -> None:
    with podlet_node.running() as node:
        node.create_pod("web", image="nginx:1.25")
        pod = node.wait_pod("web", lambda pod: container_of(pod).get("state", {}).get("waiting"))
        assert container_of(pod)["state"]["waiting"]["reason"] == "ErrImagePull"
        assert pod["status"]["phase"] == "Pending"
        message = (
            'Failed to pull image "nginx:1.25": labkit has no registry; '
            "built-in images are labkit/echo, labkit/host"
        )
        assert ("Failed", message) in node.events("web")

        pod["spec"]["containers"][0]["image"] = "labkit/echo"
        node.client.replace(resources.PODS, pod)
        assert node.ask(node.wait_ready("web"))["pod"] == "web"
        node.delete_pod("web")


@isolated
def test_probes_decide_who_is_ready_and_who_is_started_again() -> None:
    ready = {"exec": {"command": ["test", "-e", str(FOLDER / "ready")]}, "periodSeconds": 1}
    alive = {
        "httpGet": {"path": "/", "port": "http"},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "initialDelaySeconds": 1,
    }
    with podlet_node.running() as node:
        ports = [{"name": "http", "containerPort": 8080}]
        node.create_pod("shy", ports=ports, readinessProbe=ready | {"failureThreshold": 1})
        node.create_pod("mute", image="labkit/host", command=["sleep", "60"], livenessProbe=alive)
        node.wait_pod("shy", lambda pod: container_of(pod).get("started"))
        assert not podlet_node.is_ready(node.pod("shy"))
        (FOLDER / "ready").touch()
        node.wait_ready("shy")
        (FOLDER / "ready").unlink()
        node.wait_pod("shy", lambda pod: not podlet_node.is_ready(pod))

        node.wait_pod("mute", lambda pod: container_of(pod).get("restartCount") == 1)
        told = dict(node.events("mute"))
        assert told["Unhealthy"].startswith("Liveness probe failed: 10.244.1.")
        assert told["Killing"] == "Container main failed liveness probe, will be restarted"


@isolated
def test_killing_is_exact_and_waits_no_longer_than_the_grace() -> None:
    script = "trap '' TERM; sleep 1000 & setsid sleep 1000 & echo up; while :; do wait; done"
    with podlet_node.running() as node:
        node.create_pod("stubborn", image="labkit/host", command=["sh", "-c", script])
        node.wait_ready("stubborn")
        begun = time.monotonic()
        # Ready means that it runs, not that its script has started all five.
        while len(pids := run("ip", "netns", "pids", "default_stubborn").split()) < 5:
            assert time.monotonic() - begun < 10, pids
        begun = time.monotonic()
        node.delete_pod("stubborn", grace_s=1)
        assert 0.9 < time.monotonic() - begun < 3
        assert [pid for pid in pids if Path("/proc", pid).exists()] == []


@isolated
def test_pods_outlive_the_podlet_and_the_next_one_adopts_them() -> None:
    with podlet_node.running() as node:
        ports = [{"containerPort": 8080}]
        for name in ("stays", "ends", "goes"):
            node.create_pod(name, ports=ports)
        before = {name: node.wait_ready(name) for name in ("stays", "ends", "goes")}
        node.stop_podlet(signal.SIGKILL)
        assert node.ask(before["stays"])["pod"] == "stays"
        (inner, *_) = run("ip", "netns", "pids", "default_ends").split()
        os.kill(int(inner), signal.SIGKILL)
        node.client.delete(resources.PODS, "goes", grace_s=0)

        forget_pid(podlet_node.uid_of(before["stays"]))
        node.start_podlet()
        node.wait_pod("ends", lambda pod: container_of(pod).get("restartCount") == 1)
        after = node.wait_ready("ends")
        assert container_of(after)["lastState"]["terminated"]["exitCode"] == 137
        assert after["status"]["podIP"] == before["ends"]["status"]["podIP"]
        stays = node.pod("stays")
        assert container_of(stays) == container_of(before["stays"])
        assert sorted(netns_names()) == ["default_ends", "default_stays"]

        assert node.stop_podlet() == 0
        assert node.ask(stays)["pod"] == "stays", "TERM leaves the pods alone as well"
        node.start_podlet()
        for name in ("stays", "ends"):
            node.delete_pod(name)
        assert netns_names() == []


def forget_pid(uid: str) -> None:
    """As if the podlet had died between starting the process and noting its pid."""
    record = FOLDER / "run/pods" / f"{uid}.json"
    fields = json.loads(record.read_text())
    fields["containers"][0]["run"] |= {"pid": 0, "ticks": 0}
    record.write_text(json.dumps(fields))


@isolated
def test_after_a_restart_of_the_node_pods_come_back_at_the_same_address() -> None:
    with podlet_node.running() as node:
        before = {}
        for name in ("one", "two"):
            node.create_pod(name, ports=[{"containerPort": 8080}])
            before[name] = node.wait_ready(name)
        node.stop_podlet(signal.SIGKILL)
        node.cleanup()
        assert netns_names() == []

        node.start_podlet()
        for name in ("two", "one"):
            pod = node.wait_pod(name, lambda pod: container_of(pod).get("restartCount") == 1)
            assert pod["status"]["podIP"] == before[name]["status"]["podIP"]
            node.wait_ready(name)


@isolated
def test_a_pod_of_the_same_name_waits_until_the_old_one_is_gone() -> None:
    with podlet_node.running() as node:
        node.create_pod(
            "again",
            image="labkit/host",
            command=["sh", "-c", "trap 'sleep 0.3; exit' TERM; while :; do sleep 0.05; done"],
        )
        old = node.wait_ready("again")
        node.client.delete(resources.PODS, "again", grace_s=0)
        node.create_pod("again", ports=[{"containerPort": 8080}])
        fresh = node.wait_ready("again")
        assert podlet_node.uid_of(fresh) != podlet_node.uid_of(old)
        assert node.ask(fresh)["pod"] == "again"
        assert len(wires()) == 1


@isolated
def test_cleanup_removes_what_is_ours_and_nothing_else() -> None:
    with podlet_node.running() as node:
        node.create_pod("app1", ports=[{"containerPort": 8080}])
        pod = node.wait_ready("app1")
        run("ip", "netns", "add", "default_mine")
        run("ip", "link", "add", "lkmine", "type", "veth", "peer", "name", "other")
        run("ip", "route", "add", "10.250.0.0/24", "via", "192.168.56.77")
        node.stop_podlet(signal.SIGKILL)
        # A pod that no record knows any more is found by its mark.
        for record in (FOLDER / "run/pods").iterdir():
            record.unlink()
        node.cleanup()
        assert netns_names() == ["default_mine"]
        assert sorted(wires()) == ["lkmine", "other"]
        assert "cbr0" not in run("ip", "link")
        assert "10.250.0.0/24" in run("ip", "route")
        assert str(pod["status"]["podIP"]) not in run("ip", "route")
        assert not (FOLDER / "run/pods").exists()
        assert list((FOLDER / "logs").iterdir()) == []


@isolated
def test_routes_follow_the_nodes() -> None:
    def node2(address: str) -> dict[str, Any]:
        return {
            "metadata": {"name": "node2"},
            "spec": {"podCIDR": "10.244.2.0/24"},
            "status": {"addresses": [{"type": "InternalIP", "address": address}]},
        }

    with podlet_node.running() as node:
        route = "10.244.2.0/24 via 192.168.56.12 dev eth0"
        node.client.create(resources.NODES, node2("192.168.56.12"))
        node.wait_until(lambda: route in run("ip", "route"))
        node.client.delete(resources.NODES, "node2")
        node.wait_until(lambda: route not in run("ip", "route"))


@isolated
def test_the_node_registers_itself_beats_and_comes_back_when_it_is_deleted() -> None:
    flags = (
        *("--register-with-taints", "node-role.kubernetes.io/control-plane=:NoSchedule"),
        *("--register-node-labels", "node-role.kubernetes.io/control-plane="),
    )
    with podlet_node.running(*flags) as node:
        obj = node.wait_node(podlet_node.is_ready)
        assert obj["spec"]["podCIDR"] == "10.244.1.0/24"
        assert obj["spec"]["taints"] == [
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
        ]
        assert obj["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] == ""
        assert obj["status"]["addresses"][0] == {"type": "InternalIP", "address": "192.168.56.10"}
        uid = podlet_node.uid_of(obj)
        node.client.delete(resources.NODES, "node1")
        node.wait_node(lambda obj: podlet_node.uid_of(obj) != uid and podlet_node.is_ready(obj))


@isolated
def test_the_api_server_may_be_away_for_a_while() -> None:
    with podlet_node.running() as node:
        node.create_pod("app1", ports=[{"containerPort": 8080}])
        pod = node.wait_ready("app1")
        node.stop_api()
        (inner, *_) = run("ip", "netns", "pids", "default_app1").split()
        os.kill(int(inner), signal.SIGKILL)
        node.wait_until(lambda: run("ip", "netns", "pids", "default_app1").split()[:1] != [inner])
        node.start_api()
        again = node.wait_pod("app1", lambda pod: container_of(pod).get("restartCount") == 1)
        assert again["status"]["podIP"] == pod["status"]["podIP"]


@isolated
def test_what_fails_on_the_node_is_said_once_and_tried_again() -> None:
    with podlet_node.running() as node:
        node.wait_node(podlet_node.is_ready)
        run("ip", "link", "set", "cbr0", "name", "cbr1")
        node.create_pod("app1", ports=[{"containerPort": 8080}])
        node.wait_event("app1", "FailedCreatePodSandBox")
        run("ip", "link", "set", "cbr1", "name", "cbr0")
        node.wait_ready("app1")
        reasons = [reason for reason, _ in node.events("app1")]
        assert reasons.count("FailedCreatePodSandBox") == 1
