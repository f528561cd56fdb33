"""What a container runs, what it is told, and what is refused, with a reason."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from labkit.podlet import images
from tests.unit.podlet import samples

FACTS = {
    "POD_NAME": "app1",
    "POD_NAMESPACE": "default",
    "POD_IP": "10.244.1.2",
    "NODE_NAME": "node1",
    "HOST_IP": "192.168.56.11",
}


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("labkit/echo", "labkit/echo"),
        ("labkit/echo:v1", "labkit/echo"),
        ("docker.io/labkit/echo:v1", "labkit/echo"),
        ("labkit/host@sha256:00", "labkit/host"),
        ("registry:5000/labkit/echo", "registry:5000/labkit/echo"),
    ],
)
def test_the_tag_does_not_matter(image: str, name: str) -> None:
    assert images.repository(image) == name


def refusal(container: dict[str, Any], **spec: Any) -> images.Refusal | None:
    wanted = samples.wanted(container, **spec)
    return images.explain_refusal(wanted, wanted["spec"]["containers"][0])


def test_an_unknown_image_says_which_there_are() -> None:
    assert refusal({"image": "nginx"}) == images.Refusal(
        'Failed to pull image "nginx": labkit has no registry; '
        "built-in images are labkit/echo, labkit/host",
        pulling=True,
    )


@pytest.mark.parametrize(
    ("container", "spec", "says"),
    [
        ({"image": "labkit/host"}, {}, "needs a command"),
        ({}, {"initContainers": [{"name": "i"}]}, "initContainers"),
        ({"startupProbe": {"exec": {}}}, {}, "startupProbe"),
        ({"lifecycle": {"preStop": {}}}, {}, "calls no hooks"),
        ({}, {"hostNetwork": True}, "network of its own"),
        ({"ports": [{"containerPort": 80, "hostPort": 80}]}, {}, "type NodePort"),
        ({"volumeMounts": [{"mountPath": "/data"}]}, {}, "mounts no volumes"),
        ({"envFrom": [{"configMapRef": {}}]}, {}, "no ConfigMaps"),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]}, {}, "no ConfigMaps"),
    ],
)
def test_what_a_kubelet_can_and_this_one_cannot(
    container: dict[str, Any], spec: dict[str, Any], says: str
) -> None:
    found = refusal(container, **spec)
    assert found is not None
    assert says in found.message
    assert not found.pulling


def test_what_can_run() -> None:
    token = {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    field = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    assert refusal({"volumeMounts": [token], "env": [field, {"name": "B", "value": "b"}]}) is None
    assert refusal({"image": "labkit/host", "command": ["true"]}) is None


def test_the_echo_serves_the_declared_ports_or_its_own() -> None:
    ports = [
        {"containerPort": 80},
        {"containerPort": 53, "protocol": "UDP"},
        {"containerPort": 9, "protocol": "SCTP"},
    ]
    declared = images.plan_argv({"image": "labkit/echo", "ports": ports}, {})
    assert declared[-3:] == ("echo", "80/TCP", "53/UDP")
    assert sys.executable in declared
    assert images.plan_argv({"image": "labkit/echo"}, {})[-2:] == ("8080/TCP", "8080/UDP")
    assert images.ports_of({"image": "labkit/host"}) == ()


def test_command_replaces_and_args_follow() -> None:
    container = {"image": "labkit/host", "command": ["sh", "-c", "echo $(WHO)"], "args": ["$(X)"]}
    assert images.plan_argv(container, {"WHO": "me"}) == ("sh", "-c", "echo me", "$(X)")


def test_the_environment_may_refer_to_itself_and_to_the_pod() -> None:
    wanted = samples.wanted()
    container = {
        "env": [
            {"name": "URL", "value": "http://$(POD_IP):$(PORT)/$$(x)"},
            {"name": "PORT", "value": "80"},
            {"name": "BASE", "value": "$(URL)"},
            *(
                {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                for name, path in (
                    ("UID", "metadata.uid"),
                    ("LABEL", "metadata.labels['a']"),
                    ("NONE", "metadata.annotations['a']"),
                    ("NODE", "spec.nodeName"),
                    ("HOST", "status.hostIP"),
                )
            ),
        ]
    }
    env = images.plan_environment(wanted, container, FACTS, "/bin")
    assert env["URL"] == env["BASE"] == "http://10.244.1.2:$(PORT)/$(x)"
    assert (env["UID"], env["LABEL"], env["NONE"]) == (samples.UID, "b", "")
    assert (env["NODE"], env["HOST"]) == ("node1", "192.168.56.11")
    assert (env["POD_NAME"], env["HOSTNAME"], env["PATH"]) == ("app1", "app1", "/bin")
