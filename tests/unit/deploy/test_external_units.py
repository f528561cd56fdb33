"""The units of a lab whose API server is somebody else's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labkit.deploy import pki, services
from labkit.model import spec

LAB = spec.plan()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    folder: Path = tmp_path_factory.mktemp("pki")
    return pki.ensure_pki(folder, LAB)


class TestExternal:
    """The units where the API server is somebody else's."""

    EXTERNAL = services.External(
        "PROXY", "PODLET", "ADMIN", "lab-1", "THEIR CA", ("kube-controller-manager",)
    )

    def test_there_is_no_api_server_and_what_that_one_lacks(self, secrets: pki.Pki) -> None:
        planned = services.plan_services(LAB, secrets, self.EXTERNAL)
        names = [unit.name for unit in planned["control"]]
        assert names == ["kube-controller-manager", "kube-proxy", "podlet"]
        assert [unit.name for unit in planned["node1"]] == ["kube-proxy", "podlet"]
        assert planned["control"][0].argv[-4:] == (
            "kube-controller-manager",
            "--kubeconfig=/etc/labkit/kube-controller-manager.kubeconfig",
            "--identity=control.lab-1",
            "--load-balancer-ip-range=192.168.56.200-192.168.56.239",
        )

    def test_addresses_are_given_out_only_where_all_nodes_are_the_labs(
        self, secrets: pki.Pki
    ) -> None:
        shared = replace(self.EXTERNAL, is_shared=True)
        manager = services.plan_services(LAB, secrets, shared)["control"][0]
        assert manager.name == "kube-controller-manager"
        assert not any("load-balancer" in word for word in manager.argv)

    def test_each_program_has_its_own_credentials_and_none_of_the_labs(
        self, secrets: pki.Pki
    ) -> None:
        proxy, podlet = services.plan_services(LAB, secrets, self.EXTERNAL)["node1"]
        assert proxy.files["/etc/labkit/kube-proxy.kubeconfig"].content == b"PROXY"
        assert podlet.files["/etc/labkit/podlet.kubeconfig"].content == b"PODLET"
        assert podlet.files[services.CA].content == b"THEIR CA"
        texts = b"".join(file.content for file in (*proxy.files.values(), *podlet.files.values()))
        assert not any(token.encode() in texts for token in secrets.tokens)
        assert "--register-node-labels=labkit.dev/lab=lab-1" in podlet.argv

    def test_without_somebody_who_vouches_nobody_asks_the_podlet(self, secrets: pki.Pki) -> None:
        nobody = replace(self.EXTERNAL, client_ca_pem="", is_shared=True)
        _, podlet = services.plan_services(LAB, secrets, nobody)["node1"]
        assert not any("tls" in word or "client-ca" in word for word in podlet.argv)
        assert "--register-with-taints=labkit.dev/lab=lab-1:NoSchedule" in podlet.argv
