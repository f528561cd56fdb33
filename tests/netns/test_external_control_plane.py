"""A lab on somebody else's API server: it joins, works, and leaves nothing of itself behind."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import errors, lab
from labkit.client import http
from labkit.lab.external import record, steps
from labkit.model import example, resources
from labkit.model.resources import Object
from tests.netns import foreign
from tests.netns.test_up import eventually, labkit, up_until

pytestmark = pytest.mark.lab

NODES = ["control", "node1", "node2"]


@pytest.fixture
def opened(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[lab.Lab]:
    """A lab whose lab file names a kubeconfig beside it; its machines are not up yet."""
    monkeypatch.chdir(tmp_path)
    text = (
        'name = "t"\n[network]\nload_balancers = "192.168.56.208/28"\n'
        '[control_plane]\nkubeconfig = "foreign/kubeconfig"\n'
    )
    (tmp_path / "labkit.toml").write_text(text)
    made = lab.open_lab()
    yield made
    made.down(purge=True)


def machines_up(opened: lab.Lab) -> None:
    """Nobody answers at the server's address yet: `up` gets as far as it can without it."""
    with pytest.raises(errors.LabkitError) as caught:
        opened.up()
    assert caught.value.exit_code == 1
    for node in NODES:
        assert node in str(caught.value), "each node says for itself that it cannot"
    assert "192.168.56.100:6443 cannot be reached: Connection refused" in str(caught.value)
    assert "every node reaches the server" in caught.value.hint
    states = opened.status()
    assert states.control_plane is None
    assert not any(node.units for node in states.nodes), "nothing was started, or registered"


@pytest.fixture
def bare(opened: lab.Lab, tmp_path: Path) -> foreign.Server:
    server = foreign.Server(opened, tmp_path / "foreign", bare=True)
    machines_up(opened)
    server.start()
    return server


@pytest.fixture
def client(bare: foreign.Server) -> Iterator[http.Client]:
    """The administrator of that server."""
    with bare.client() as made:
        yield made


def names(client: http.Client, resource: resources.Resource) -> set[str]:
    return {obj["metadata"]["name"] for obj in client.list(resource)["items"]}


def everything(client: http.Client) -> dict[str, set[str]]:
    """What would be noticed if it had been taken away, or left."""
    kinds = (resources.NODES, resources.PODS, resources.SERVICES, resources.CONFIG_MAPS)
    return {kind.plural: names(client, kind) for kind in kinds}


def node_of_another(name: str, **meta: object) -> Object:
    spec = {"podCIDR": "10.200.0.0/24"}
    return {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, **meta}, "spec": spec}


def test_a_server_without_controllers_gets_a_working_lab_and_everything_back(
    opened: lab.Lab, client: http.Client
) -> None:
    report = opened.up()
    assert report.ways
    assert report.ways.ok, repr(report.ways)
    assert opened.up().did == (), "a second one finds nothing to do"

    status = opened.status()
    assert status.state == "running", repr(status)
    control = next(node for node in status.nodes if node.name == "control")
    assert set(control.units) == {
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "podlet",
    }
    assert status.control_plane
    assert "run by this lab" in status.control_plane.components["kube-scheduler"]
    assert "no accounts of their own" in status.control_plane.components["nodes log in as"]
    assert "https://192.168.56.100:6443" in repr(status)
    service = opened.inspect(example.NAME).to_json()
    assert "10.97." in str(service), "the Service's address is of that server's network"

    kept = record.read(opened.paths.control_plane)
    assert kept
    marked = client.list(resources.NODES, label_selector=f"{resources.LAB}={kept.mark}")["items"]
    assert [node["metadata"]["name"] for node in marked] == NODES
    assert [node["spec"]["podCIDR"] for node in marked] == [
        "10.244.0.0/24",
        "10.244.1.0/24",
        "10.244.2.0/24",
    ]
    shown = labkit("kubeconfig", "--name", "t")
    assert "https://192.168.56.100:6443" in shown.stdout, shown.stderr

    controllers_work(opened, client)
    load_balancers_work(opened, client)
    stopped = labkit("down", "--name", "t", "-o", "json")
    assert stopped.returncode == 0, stopped.stderr
    assert '"left": ""' in stopped.stdout
    kept = record.read(opened.paths.control_plane)
    assert kept
    assert not kept.holds


def controllers_work(opened: lab.Lab, client: http.Client) -> None:
    """A Deployment becomes pods, scales, and goes with everything that it owned."""
    labels = {"app": "web"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "echo", "image": "labkit/echo"}]},
            },
        },
    }
    opened.apply(deployment)

    def ready() -> bool:
        found = client.get(resources.DEPLOYMENTS, "web", "default")
        return bool(found.get("status", {}).get("readyReplicas") == 2)

    eventually(ready)
    opened.delete("deployment", "web")
    eventually(lambda: not any(name.startswith("web-") for name in names(client, resources.PODS)))
    eventually(lambda: names(client, resources.REPLICA_SETS) == set())


def load_balancers_work(opened: lab.Lab, client: http.Client) -> None:
    """The lab file's first address is the Service's, and who is outside reaches a pod by it."""
    spec = {
        "type": "LoadBalancer",
        "ports": [{"port": 80, "targetPort": 8080}],
        "selector": {"name": example.NAME},
    }
    opened.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "balanced"}, "spec": spec}
    )

    def given() -> str:
        status = client.get(resources.SERVICES, "balanced", "default")["status"]
        return str((status["loadBalancer"].get("ingress") or [{}])[0].get("ip", ""))

    eventually(lambda: given() == "192.168.56.208")
    curl = ("curl", "-sS", "--noproxy", "*", "--max-time", "2", "http://192.168.56.208/")
    eventually(lambda: opened.exec("client", curl).exit_status == 0)
    answer = json.loads(opened.exec("client", curl).stdout)
    assert answer["pod"].startswith(example.NAME)
    opened.delete("service", "balanced")
    eventually(lambda: opened.exec("client", curl).exit_status != 0)


def test_down_takes_away_what_the_lab_made_and_nothing_else(
    opened: lab.Lab, client: http.Client
) -> None:
    client.create(resources.NODES, node_of_another("other"))
    config_map = {"metadata": {"name": "mine", "namespace": "default"}}
    client.create(resources.CONFIG_MAPS, config_map)
    before = everything(client)
    opened.up()
    assert everything(client) != before
    node1 = client.get(resources.NODES, "node1")
    assert any(taint["key"] == resources.LAB for taint in node1["spec"]["taints"]), (
        "where there are other nodes, their pods are kept away"
    )
    assert steps.retire(opened) == ""
    assert everything(client) == before | {"configmaps": everything(client)["configmaps"]}
    assert "mine" in names(client, resources.CONFIG_MAPS)


def test_down_takes_away_what_a_killed_up_had_made(opened: lab.Lab, client: http.Client) -> None:
    before = everything(client)
    with up_until(1) as process:
        eventually(lambda: "control" in names(client, resources.NODES))
        assert process.poll() is None, "it is in the middle"
        process.kill()
    assert everything(client) != before
    assert steps.retire(opened) == ""
    assert everything(client) == before | {"configmaps": everything(client)["configmaps"]}


def test_after_a_crash_and_without_the_server_down_says_what_is_left(
    opened: lab.Lab, bare: foreign.Server
) -> None:
    opened.up(example=False)
    bare.stop()
    done = labkit("down", "--name", "t")
    assert done.returncode == 3, done.stderr
    assert "Left on its API server" in done.stdout
    assert "labkit.dev/lab=t-" in done.stdout
    again = record.read(opened.paths.control_plane)
    assert again
    assert again.holds, "the next `up` or `down` knows of it"


def test_names_that_are_taken_are_refused_before_anything_is_changed(
    opened: lab.Lab, client: http.Client
) -> None:
    theirs = {"labels": {resources.LAB: "theirs-0001"}}
    client.create(resources.NODES, node_of_another("node2", **theirs))
    before = everything(client)
    with pytest.raises(errors.Conflict, match=r"a node node2 already.*another lab's") as caught:
        opened.up()
    assert caught.value.exit_code == 7
    client.delete(resources.NODES, "node2")
    client.create(resources.SERVICES, example.SERVICE)
    with pytest.raises(errors.Conflict, match=r"service default/app1 already, .*not of a lab"):
        opened.up()
    client.delete(resources.SERVICES, "app1", "default")
    overlapping = node_of_another("other")
    overlapping["spec"]["podCIDR"] = "10.244.7.0/24"
    client.create(resources.NODES, overlapping)
    with pytest.raises(errors.ConfigError, match=r"the node other .* has 10\.244\.7\.0/24"):
        opened.up()
    client.delete(resources.NODES, "other")
    assert everything(client)["nodes"] == before["nodes"] - {"node2"}
    assert not any(node.units for node in opened.status().nodes)


def test_credentials_that_are_worth_nothing(
    opened: lab.Lab, bare: foreign.Server, tmp_path: Path
) -> None:
    wrong = bare.kubeconfig_with("wrong", user={"token": "nonsense"})
    done = labkit("up", "--kubeconfig", str(wrong))
    assert (done.returncode, "LK-CONFIG" in done.stderr) == (2, True), done.stderr
    assert "does not accept the kubeconfig's credentials" in done.stderr
    proxy = bare.tokens["system:kube-proxy:node1"]
    reader = bare.kubeconfig_with("reader", user={"token": proxy})
    done = labkit("up", "--kubeconfig", str(reader))
    assert (done.returncode, "LK-NOT-SUPPORTED" in done.stderr) == (5, True), done.stderr
    assert "may not create nodes" in done.stderr
    unknown = bare.kubeconfig_with(
        "unknown", cluster={"certificate-authority-data": _other_ca(opened)}
    )
    done = labkit("up", "--kubeconfig", str(unknown))
    assert done.returncode == 1, done.stderr
    assert "its certificate does not convince" in done.stderr


def _other_ca(opened: lab.Lab) -> str:
    return base64.b64encode((opened.paths.pki / "ca.crt").read_bytes()).decode()


def test_a_server_with_controllers_of_its_own_is_told_by_their_leases(
    opened: lab.Lab, client: http.Client
) -> None:
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)
    spec = {
        "holderIdentity": "there_1",
        "leaseDurationSeconds": 15,
        "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    for name in ("kube-controller-manager", "kube-scheduler"):
        meta = {"name": name, "namespace": "kube-system"}
        client.create(resources.LEASES, {"metadata": meta, "spec": spec})
    opened.up(example=False)
    status = opened.status()
    control = next(node for node in status.nodes if node.name == "control")
    assert set(control.units) == {"kube-proxy", "podlet"}
    assert status.control_plane
    assert status.control_plane.components["kube-scheduler"] == "the server's own: there_1"


def test_a_lab_of_one_sort_does_not_become_one_of_the_other(
    opened: lab.Lab, bare: foreign.Server, tmp_path: Path
) -> None:
    (tmp_path / "labkit.toml").write_text('name = "t"\n')
    done = labkit("up")
    assert done.returncode == 2, done.stderr
    assert "was made with another API server" in done.stderr
