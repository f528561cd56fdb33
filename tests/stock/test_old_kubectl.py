"""kubectl 1.20, from Debian: it knows OpenAPI v2 in protobuf only, and checks fields by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contracts import apiserver

pytestmark = pytest.mark.stock
APP1 = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "app1", "labels": {"name": "app1"}},
    "spec": {
        "type": "NodePort",
        "ports": [{"port": 8080, "targetPort": 8080, "nodePort": 30062}],
        "selector": {"name": "app1"},
    },
}


@dataclass(frozen=True, slots=True)
class OldKubectl(apiserver.Kubectl):
    program: str = ""

    def argv(self, *words: str) -> list[str]:
        # super() does not know a slotted dataclass; the first word is the program.
        return [self.program, *apiserver.Kubectl.argv(self, *words)[1:]]


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldKubectl]:
    with apiserver.running(tmp_path_factory.mktemp("old")) as server:
        yield OldKubectl(server, program=fetch(tmp_path_factory.mktemp("debian")))


def fetch(folder: Path) -> str:
    """Debian's package, unpacked and not installed."""
    subprocess.run(["apt-get", "download", "kubernetes-client"], cwd=folder, check=True)
    (package,) = folder.glob("kubernetes-client_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return str(folder / "usr/bin/kubectl")


def test_everyday_verbs(kubectl: OldKubectl) -> None:
    text = apiserver.manifest(APP1)
    assert kubectl("create", "-f", "-", stdin=text) == "service/app1 created\n"
    assert kubectl("delete", "svc", "app1") == 'service "app1" deleted\n'
    assert kubectl("apply", "-f", "-", stdin=text) == "service/app1 created\n"
    assert kubectl("apply", "-f", "-", stdin=text) == "service/app1 unchanged\n"
    dry = kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    assert dry == "service/app1 unchanged (server dry run)\n"
    edited = kubectl("edit", "svc", "app1", KUBE_EDITOR="sed -i s/30062/30064/")
    assert edited == "service/app1 edited\n"
    assert "30064/TCP" in kubectl("get", "svc")
    assert "NodePort:                 <unset>  30064/TCP" in kubectl("describe", "svc", "app1")
    assert "service/app1" in kubectl("get", "all")


def test_fields_are_explained_and_checked(kubectl: OldKubectl) -> None:
    assert "every node listens" in " ".join(
        kubectl("explain", "service.spec.ports.nodePort").split()
    )
    assert "containers\t<[]Object>" in kubectl("explain", "pods", "--recursive")
    wrong = apiserver.manifest({**APP1, "spec": {**APP1["spec"], "unicorn": 1}})  # type: ignore[dict-item]
    message = kubectl.refused("create", "-f", "-", stdin=wrong)
    assert 'unknown field "unicorn" in io.k8s.api.core.v1.ServiceSpec' in message
