"""A node for tests of the podlet: the real API server and the real archive in fresh namespaces."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from labkit import errors
from labkit.client import config, http, watch
from labkit.deploy import archive, pki
from labkit.model import resources, spec
from labkit.model.resources import Object
from tests.netns.isolation import run

NODE_IP = IPv4Address("192.168.56.10")
POD_NETWORK = IPv4Network("10.244.1.0/24")
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
FOLDER = Path("/run/test")
#: No step of these tests takes more than a second or two.
PATIENCE_S = 20.0


class Node:
    """An API server and, when started, a podlet; `client` is the administrator's."""

    def __init__(self) -> None:
        FOLDER.mkdir()
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "wire")
        run("ip", "address", "add", f"{NODE_IP}/24", "dev", "eth0")
        for link in ("eth0", "wire"):
            run("ip", "link", "set", link, "up")
        lab = spec.plan("podlet")
        # This one machine is every node of the lab.
        nodes = tuple(replace(node, address=NODE_IP) for node in lab.nodes)
        self._pki = pki.ensure_pki(FOLDER / "pki", replace(lab, nodes=nodes))
        self.archive = FOLDER / "podlet.pyz"
        self.archive.write_bytes(archive.load_archive("podlet"))
        (FOLDER / "podlet.kubeconfig").write_text(self._kubeconfig("system:node:node1"))
        self.config = config.parse_kubeconfig(self._kubeconfig(pki.ADMIN))
        self.api = self._start_api()
        self.client = http.Client(self.config)
        self.podlet: subprocess.Popen[bytes] | None = None

    def start_podlet(self, *flags: str) -> subprocess.Popen[bytes]:
        with (FOLDER / "podlet.log").open("ab") as log:
            self.podlet = subprocess.Popen(self._podlet_argv(*flags), stderr=log, cwd="/")
        return self.podlet

    def cleanup(self) -> None:
        subprocess.run(self._podlet_argv("--cleanup"), check=True, cwd="/", capture_output=True)

    def stop_podlet(self, number: int = signal.SIGTERM) -> int:
        assert self.podlet is not None
        self.podlet.send_signal(number)
        return self.podlet.wait(timeout=PATIENCE_S)

    @property
    def log(self) -> str:
        return (FOLDER / "podlet.log").read_text()

    def log_of(self, obj: Object) -> str:
        """What the first run of its only container has written."""
        folder = FOLDER / f"logs/default_{obj['metadata']['name']}_{uid_of(obj)}/main"
        return (folder / "0.log").read_text()

    def create_pod(self, name: str, **container: Any) -> Object:
        pod_fields = container.pop("pod", {})
        return self.client.create(resources.PODS, pod(name, container, **pod_fields))

    def pod(self, name: str) -> Object:
        return self.client.get(resources.PODS, name)

    def wait_pod(self, name: str, good: Callable[[Object], object]) -> Object:
        """Watch the pod until it is as it should be."""
        deadline = time.monotonic() + PATIENCE_S
        obj: Object = {}
        listed = self.client.list(resources.PODS, field_selector=f"metadata.name={name}")
        for obj in listed["items"]:
            if good(obj):
                return obj
        for event in watch.watch(
            self.config,
            resources.PODS,
            resource_version=listed["metadata"]["resourceVersion"],
            field_selector=f"metadata.name={name}",
            timeout_s=PATIENCE_S,
        ):
            obj = event.object
            if event.type != "BOOKMARK" and good({**obj, "isDeleted": event.type == "DELETED"}):
                return obj
            if time.monotonic() > deadline:
                break
        raise AssertionError(f"{json.dumps(obj, indent=1)}\n{self.log}")

    def wait_ready(self, name: str) -> Object:
        return self.wait_pod(name, is_ready)

    def wait_node(self, good: Callable[[Object], object]) -> Object:
        for event in watch.watch(self.config, resources.NODES, timeout_s=PATIENCE_S):
            if event.type in ("ADDED", "MODIFIED") and good(event.object):
                return event.object
        raise AssertionError(self.log)

    def wait_until(self, good: Callable[[], object]) -> None:
        """For what the kernel tells nobody about."""
        deadline = time.monotonic() + PATIENCE_S
        while not good():
            assert time.monotonic() < deadline, self.log

    def delete_pod(self, name: str, grace_s: int | None = None) -> None:
        """Delete it and wait until it is gone."""
        obj = self.pod(name)
        listed = self.client.list(resources.PODS)["metadata"]["resourceVersion"]
        self.client.delete(resources.PODS, name, grace_s=grace_s)
        for event in watch.watch(
            self.config, resources.PODS, resource_version=listed, timeout_s=PATIENCE_S
        ):
            if event.type == "DELETED" and event.object["metadata"]["uid"] == uid_of(obj):
                return
        raise AssertionError(f"{name} stays\n{self.log}")

    def events(self, name: str) -> list[tuple[str, str]]:
        items = self.client.list(resources.EVENTS, "default")["items"]
        return [
            (event["reason"], event["message"])
            for event in items
            if event["involvedObject"]["name"] == name
        ]

    def ask(self, obj: Object, path: str = "/", port: int = 8080) -> Any:
        """One request over the bridge; what the echo says of it."""
        address = obj["status"]["podIP"]
        return json.loads(run("curl", "-sS", "--max-time", "5", f"http://{address}:{port}{path}"))

    def stop_api(self) -> None:
        self.api.kill()
        self.api.wait()

    def start_api(self) -> None:
        self.api = self._start_api()

    def wait_event(self, name: str, reason: str) -> None:
        self.wait_until(lambda: reason in dict(self.events(name)))

    def close(self) -> None:
        if self.podlet is not None and self.podlet.poll() is None:
            self.stop_podlet()
        self.cleanup()
        self.client.close()
        self.stop_api()

    def token_of(self, user: str) -> str:
        return config.parse_kubeconfig(self._kubeconfig(user)).token

    def _kubeconfig(self, user: str) -> str:
        return self._pki.kubeconfig(user)

    def _podlet_argv(self, *flags: str) -> tuple[str, ...]:
        keys = FOLDER / "pki"
        return (
            *(PYTHON, str(self.archive), *flags),
            *("--kubeconfig", str(FOLDER / "podlet.kubeconfig")),
            *("--hostname-override", "node1", "--node-ip", str(NODE_IP)),
            *("--pod-cidr", str(POD_NETWORK), "--run-dir", str(FOLDER / "run")),
            *("--pod-log-dir", str(FOLDER / "logs"), "--v", "4"),
            *("--client-ca-file", str(keys / "ca.crt")),
            *("--tls-cert-file", str(keys / "kubelet-node1.crt")),
            *("--tls-private-key-file", str(keys / "kubelet-node1.key")),
        )

    def _start_api(self) -> subprocess.Popen[bytes]:
        keys = FOLDER / "pki"
        argv = (
            *(sys.executable, "-m", "labkit.apiserver", "--bind-address", str(NODE_IP)),
            *("--advertise-address", str(NODE_IP), "--data-dir", str(FOLDER / "api")),
            *("--tls-cert-file", str(keys / "server.crt")),
            *("--tls-private-key-file", str(keys / "server.key")),
            *("--client-ca-file", str(keys / "ca.crt")),
            *("--token-auth-file", str(keys / "tokens.json")),
            *("--kubelet-certificate-authority", str(keys / "ca.crt")),
            *("--kubelet-client-certificate", str(keys / "apiserver-kubelet-client.crt")),
            *("--kubelet-client-key", str(keys / "apiserver-kubelet-client.key")),
        )
        root = Path(__file__).parents[2]
        with (FOLDER / "api.log").open("ab") as log:
            api = subprocess.Popen(argv, stdout=log, stderr=log, cwd=root)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(errors.ConnectionFailed), http.Client(self.config) as client:
                client.request("GET", "/readyz")
                return api
            assert api.poll() is None, (FOLDER / "api.log").read_text()
            assert time.monotonic() < deadline, "the API server is not ready"


@contextlib.contextmanager
def running(*flags: str) -> Iterator[Node]:
    """A node with a podlet; whatever happens, no process of it is left."""
    node = Node()
    try:
        node.start_podlet(*flags)
        yield node
    finally:
        node.close()


def pod(name: str, container: dict[str, Any], **fields: Any) -> Object:
    container = {"name": "main", "image": "labkit/echo"} | container
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"name": name}},
        "spec": {"containers": [container]} | fields,
    }


def is_ready(obj: Object) -> bool:
    conditions = obj.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def uid_of(obj: Object) -> str:
    return str(obj["metadata"]["uid"])


def container_of(obj: Object) -> Any:
    """The status of the only container; empty before there is one."""
    statuses = obj.get("status", {}).get("containerStatuses") or [{}]
    return statuses[0]
