"""A lab on a stock kube-apiserver and its etcd, with nothing else: no controllers, no scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import lab
from labkit.client import http
from labkit.deploy import install, services
from labkit.lab.external import record, steps
from labkit.model import resources, spec
from tests.netns import foreign
from tests.netns.test_external_control_plane import controllers_work, everything
from tests.netns.test_up import eventually

pytestmark = [pytest.mark.stock, pytest.mark.lab, pytest.mark.timeout(900)]

STORE = "http://127.0.0.1:2379"


class StockServer(foreign.Server):
    """kube-apiserver as it is when nobody has changed its defaults."""

    def __init__(self, opened: lab.Lab, folder: Path, programs: Path) -> None:
        super().__init__(opened, folder, bare=True)
        self._programs = programs

    def units(self) -> tuple[services.Unit, ...]:
        ours = services.plan_api_server(self._spec, self._pki)
        lines = [
            f'{token},{who["user"]},{who["user"]},"{",".join(who["groups"])}"'
            for token, who in self._pki.tokens.items()
        ]
        tokens = f"{services.PKI}/tokens.csv"
        program = f"{services.BIN}/kube-apiserver"
        # It travels like everything else: what this machine has in its own folders, no node sees.
        files = {
            **ours.files,
            tokens: services.File("\n".join(lines).encode(), 0o600),
            program: services.File((self._programs / "kube-apiserver").read_bytes(), 0o755),
        }
        flags = {
            "advertise-address": str(self._address),
            "secure-port": str(spec.API_PORT),
            "etcd-servers": STORE,
            "tls-cert-file": f"{services.PKI}/server.crt",
            "tls-private-key-file": f"{services.PKI}/server.key",
            "client-ca-file": services.CA,
            "token-auth-file": tokens,
            "kubelet-client-certificate": f"{services.PKI}/kubelet-client.crt",
            "kubelet-client-key": f"{services.PKI}/kubelet-client.key",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": f"{services.PKI}/server.crt",
            "service-account-signing-key-file": f"{services.PKI}/server.key",
            "service-cluster-ip-range": str(self._spec.service_network),
            "authorization-mode": "Node,RBAC",
        }
        argv = (program, *(f"--{name}={value}" for name, value in flags.items()))
        etcd = services.Unit("etcd", ("/usr/bin/etcd", "--data-dir=/var/lib/labkit/etcd"), {})
        return etcd, services.Unit(ours.name, argv, files)


@pytest.fixture
def opened(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[lab.Lab]:
    monkeypatch.chdir(tmp_path)
    text = 'name = "t"\n[control_plane]\nkubeconfig = "foreign/kubeconfig"\n'
    (tmp_path / "labkit.toml").write_text(text)
    made = lab.open_lab()
    yield made
    made.down(purge=True)


def the_server_reaches_the_podlets(client: http.Client) -> None:
    say = {"name": "say", "image": "labkit/host", "command": ["sh", "-c", "echo hello"]}
    pod = {"metadata": {"name": "talk"}, "spec": {"containers": [say], "restartPolicy": "Never"}}
    client.create(resources.PODS, pod)
    eventually(
        lambda: client.get(resources.PODS, "talk", "default")["status"]["phase"] == "Succeeded"
    )
    path = resources.PODS.path("default", "talk", "log")
    assert client.request("GET", path) == "hello\n"
    client.delete(resources.PODS, "talk", "default", grace_s=0)


def test_a_lab_joins_works_and_leaves(opened: lab.Lab, tmp_path: Path, programs: Path) -> None:
    server = StockServer(opened, tmp_path / "foreign", programs)
    server.start_machines()
    server.start()
    with server.client() as client:
        # The last thing that a new server makes is its own Service.
        eventually(lambda: client.get(resources.SERVICES, "kubernetes", "default"))
        before = everything(client)
        report = opened.up()
        assert report.ways
        assert report.ways.ok, repr(report.ways)
        assert opened.up().did == ()
        status = opened.status()
        assert status.state == "running", repr(status)
        assert status.control_plane
        assert status.control_plane.components["nodes log in as"] == "accounts of their own"
        kubeconfig = opened.exec("node1", ["cat", "/etc/labkit/kube-proxy.kubeconfig"]).stdout
        assert server.tokens["kubernetes-admin"] not in kubeconfig
        assert "v1.20" in status.control_plane.said
        the_server_reaches_the_podlets(client)
        slices = client.request("GET", "/apis/discovery.k8s.io/v1beta1/endpointslices")["items"]
        (ours,) = [each for each in slices if each["metadata"]["name"].startswith("app1-")]
        assert len(ours["endpoints"]) == 3
        assert all(each["topology"]["kubernetes.io/hostname"] for each in ours["endpoints"])
        controllers_work(opened, client)
        kept = record.read(opened.paths.control_plane)
        assert kept
        assert steps.retire(opened) == ""
        after = everything(client)
        assert after | {"configmaps": set()} == before | {"configmaps": set()}
        bindings = client.request("GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings")
        marks = [each["metadata"].get("labels") or {} for each in bindings["items"]]
        assert not any(resources.LAB in labels for labels in marks)
        install.stop_units(opened.pool, ["client"])
