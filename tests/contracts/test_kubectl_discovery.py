"""What the real kubectl finds out about the server: kinds, versions, fields, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts import apiserver

PROTOBUF = "application/vnd.kubernetes.protobuf"
JSON = "application/json"
TABLE = "as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.Kubectl]:
    with apiserver.running(tmp_path_factory.mktemp("discovery")) as server:
        yield apiserver.Kubectl(server)


def service(**spec: Any) -> dict[str, Any]:
    full = {"ports": [{"port": 80}], "selector": {"name": "app1"}, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app1"}, "spec": full}


class TestKinds:
    def test_api_resources(self, kubectl: apiserver.Kubectl) -> None:
        lines = kubectl("api-resources", "-o", "wide", "--no-headers").splitlines()
        rows = {line.split()[0]: line.split() for line in lines}
        assert rows["services"][1:6] == [
            "svc",
            "v1",
            "true",
            "Service",
            "create,delete,deletecollection,get,list,patch,update,watch",
        ]
        assert rows["services"][6] == "all"
        assert rows["deployments"][1:3] == ["deploy", "apps/v1"]
        assert rows["nodes"][3] == "false"

    def test_api_resources_by_verb_and_group(self, kubectl: apiserver.Kubectl) -> None:
        created = kubectl("api-resources", "--verbs=create", "-o", "name").split()
        listed = kubectl("api-resources", "--verbs=list", "-o", "name").split()
        assert "selfsubjectaccessreviews.authorization.k8s.io" in created
        assert "selfsubjectaccessreviews.authorization.k8s.io" not in listed
        apps = kubectl("api-resources", "--api-group=apps", "-o", "name").split()
        assert apps == ["deployments.apps", "replicasets.apps"]
        everything = kubectl("api-resources", "--categories=all", "-o", "name").split()
        assert everything == ["pods", "services", "deployments.apps", "replicasets.apps"]

    def test_versions(self, kubectl: apiserver.Kubectl) -> None:
        assert {"v1", "apps/v1", "discovery.k8s.io/v1", "events.k8s.io/v1"} <= set(
            kubectl("api-versions").split()
        )
        told = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
        assert (told["major"], told["minor"]) == ("1", "32")
        assert "is running at" in kubectl("cluster-info")
        assert kubectl("get", "--raw", "/readyz?verbose").endswith("readyz check passed\n")

    @pytest.mark.parametrize(
        ("short", "kind"), [("svc", "service"), ("ns", "namespace"), ("sa", "serviceaccount")]
    )
    def test_short_names(self, kubectl: apiserver.Kubectl, short: str, kind: str) -> None:
        for name in kubectl("get", short, "-A", "-o", "name").split():
            assert name.startswith(f"{kind}/")


class TestExplain:
    def test_a_field(self, kubectl: apiserver.Kubectl) -> None:
        told = kubectl("explain", "service.spec.ports.nodePort")
        assert "FIELD: nodePort <integer>" in told
        assert "every node listens" in told

    def test_a_field_with_a_choice_of_values(self, kubectl: apiserver.Kubectl) -> None:
        told = kubectl("explain", "svc.spec.type")
        for value in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
            assert f"    {value}\n" in told

    def test_what_is_required_and_what_it_is(self, kubectl: apiserver.Kubectl) -> None:
        told = kubectl("explain", "service.spec.ports")
        assert "port\t<integer> -required-" in told
        assert "targetPort\t<IntOrString>" in told

    @pytest.mark.parametrize(
        "kind",
        ["pods", "nodes", "endpoints", "deployments", "endpointslices", "leases", "namespaces"],
    )
    def test_whole_kinds(self, kubectl: apiserver.Kubectl, kind: str) -> None:
        assert "<no description>" not in kubectl("explain", kind)
        recursive = kubectl("explain", kind, "--recursive")
        assert "ownerReferences\t<[]OwnerReference>" in recursive

    def test_another_version(self, kubectl: apiserver.Kubectl) -> None:
        newer = kubectl("explain", "events", "--api-version=events.k8s.io/v1")
        assert "regarding" in newer
        assert "involvedObject" in kubectl("explain", "events", "--api-version=v1")

    def test_a_field_that_there_is_not(self, kubectl: apiserver.Kubectl) -> None:
        assert 'field "unicorn" does not exist' in kubectl.refused("explain", "svc.spec.unicorn")


class TestValidate:
    WRONG = apiserver.manifest(service(unicorn=1))

    def test_strict_refuses(self, kubectl: apiserver.Kubectl) -> None:
        message = kubectl.refused("create", "-f", "-", "--validate=strict", stdin=self.WRONG)
        assert message.endswith('strict decoding error: unknown field "spec.unicorn"')

    def test_warn_says_so_and_ignore_does_not(self, kubectl: apiserver.Kubectl) -> None:
        words = ("create", "--dry-run=server", "-f", "-")
        warned = kubectl.run(*words, "--validate=warn", stdin=self.WRONG)
        assert warned.stderr == 'Warning: unknown field "spec.unicorn"\n'
        assert warned.stdout == "service/app1 created (server dry run)\n"
        ignored = kubectl.run(*words, "--validate=ignore", stdin=self.WRONG)
        assert (ignored.returncode, ignored.stderr) == (0, "")

    def test_a_wrong_type(self, kubectl: apiserver.Kubectl) -> None:
        text = apiserver.manifest(service(ports=[{"port": "eighty"}]))
        message = kubectl.refused("create", "-f", "-", stdin=text)
        assert "cannot unmarshal string into Go struct field ServicePort.spec.ports.port" in message


class TestForms:
    """What client-go accepts: protobuf before JSON, tables before objects."""

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            (f"{PROTOBUF},{JSON}", "ServiceList"),
            (f"{JSON};{TABLE},{JSON}", "Table"),
            (f"{PROTOBUF};{TABLE},{JSON};{TABLE},{JSON}", "Table"),
            (f"{PROTOBUF};{PARTIAL},{JSON};{PARTIAL},{JSON}", "PartialObjectMetadataList"),
            (PROTOBUF, "Status"),
        ],
    )
    def test_a_list(self, kubectl: apiserver.Kubectl, accept: str, kind: str) -> None:
        connection = kubectl.server.connect()
        headers = {"Accept": accept, "Authorization": "Bearer admin"}
        connection.request("GET", "/api/v1/services", headers=headers)
        response = connection.getresponse()
        assert response.status == (406 if kind == "Status" else 200)
        assert json.loads(response.read())["kind"] == kind
        connection.close()
