"""The real kubectl against the real server: what learners type, and what they must see."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts import apiserver

APP1: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "app1", "namespace": "default", "labels": {"name": "app1"}},
    "spec": {
        "type": "NodePort",
        "ports": [{"port": 8080, "targetPort": 8080, "nodePort": 30062}],
        "selector": {"name": "app1"},
    },
}


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {**APP1, "metadata": {"name": name}, "spec": {**APP1["spec"], **spec}}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "echo", "image": "labkit/echo", "ports": [{"containerPort": 8080}]}]
    meta = {"name": name, "labels": {"name": "app1"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": containers, **spec},
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.Server]:
    with apiserver.running(tmp_path_factory.mktemp("kubectl")) as made:
        yield made


@pytest.fixture
def kubectl(server: apiserver.Server) -> Iterator[apiserver.Kubectl]:
    """kubectl as the administrator; what a test leaves in the default namespace goes afterwards."""
    yield apiserver.Kubectl(server)
    for plural in ("services", "pods"):
        path = f"/api/v1/namespaces/default/{plural}"
        for item in server.request("GET", path)[1]["items"]:
            name = item["metadata"]["name"]
            if name != "kubernetes":
                server.request("DELETE", f"{path}/{name}?gracePeriodSeconds=0")


@contextlib.contextmanager
def ready_node(server: apiserver.Server, name: str = "node1") -> Iterator[None]:
    """A node as its podlet would register it, by that node's own token."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body = {
        "metadata": {"name": name},
        "spec": {"podCIDR": "10.244.1.0/24"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "192.168.56.11"}],
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": now}],
            "nodeInfo": {"kubeletVersion": "v1.32.0", "osImage": "Debian 12"},
        },
    }
    code, _ = server.request("POST", "/api/v1/nodes", body, token=name)
    assert code == 201
    yield
    server.request("DELETE", f"/api/v1/nodes/{name}")


def wait_for(kubectl: apiserver.Kubectl, what: str, path: str, value: str) -> None:
    kubectl("wait", what, f"--for=jsonpath={{{path}}}={value}", "--timeout=10s")


class TestGet:
    def test_the_columns_of_a_service(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=apiserver.manifest(APP1))
        header, app1, _ = kubectl.rows("svc", "-o", "wide")
        assert header == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
        assert app1[:2] == ["app1", "NodePort"]
        assert app1[3:5] == ["<none>", "8080:30062/TCP"]
        assert app1[6] == "name=app1"
        narrow = kubectl.rows("svc")[0]
        assert narrow == header[:-1]

    def test_the_columns_of_a_pod_and_a_node(
        self, kubectl: apiserver.Kubectl, server: apiserver.Server
    ) -> None:
        with ready_node(server):
            kubectl("create", "-f", "-", stdin=apiserver.manifest(pod("a")))
            wait_for(kubectl, "pod/a", ".spec.nodeName", "node1")
            header, row = kubectl.rows("pods", "-o", "wide")
            assert header == [
                "NAME",
                "READY",
                "STATUS",
                "RESTARTS",
                "AGE",
                "IP",
                "NODE",
                "NOMINATED NODE",
                "READINESS GATES",
            ]
            assert row[:4] == ["a", "0/1", "Pending", "0"]
            assert row[6] == "node1"
            header, row = kubectl.rows("nodes", "-o", "wide")
            assert header[:5] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
            assert row[:3] == ["node1", "Ready", "<none>"]
            assert row[5:7] == ["192.168.56.11", "<none>"]

    def test_other_columns(self, kubectl: apiserver.Kubectl) -> None:
        behind = kubectl.rows("ep", "kubernetes")[1]
        assert behind[:2] == ["kubernetes", f"192.168.56.10:{kubectl.server.port}"]
        assert apiserver.names(kubectl.rows("ns")) == [
            "default",
            "kube-node-lease",
            "kube-public",
            "kube-system",
        ]

    def test_forms_of_output(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=apiserver.manifest(APP1))
        assert "nodePort: 30062" in kubectl("get", "svc", "app1", "-o", "yaml")
        parsed = json.loads(kubectl("get", "svc", "app1", "-o", "json"))
        assert parsed["spec"]["clusterIPs"] == [parsed["spec"]["clusterIP"]]
        path = "{.spec.ports[0].nodePort}"
        assert kubectl("get", "svc", "app1", "-o", f"jsonpath={path}") == "30062"
        assert kubectl("get", "svc", "app1", "-o", "name") == "service/app1\n"
        sorted_names = kubectl("get", "svc", "--sort-by=.spec.clusterIP", "-o", "name")
        assert sorted_names.splitlines()[0] == "service/kubernetes"

    def test_selection(self, kubectl: apiserver.Kubectl) -> None:
        text = apiserver.manifest(pod("a"), pod("b"), APP1)
        kubectl("create", "-f", "-", stdin=text)
        assert apiserver.names(kubectl.rows("pods", "-l", "name in (app1)")) == ["a", "b"]
        chosen = kubectl.rows("pods", "--field-selector", "metadata.name=b,status.phase=Pending")
        assert apiserver.names(chosen) == ["b"]
        everywhere = kubectl.rows("svc", "-A")
        assert everywhere[0][0] == "NAMESPACE"
        assert "service/app1" in kubectl("get", "all")
        assert "No resources found" in kubectl.run("get", "pods", "-n", "kube-system").stderr

    def test_watch(self, kubectl: apiserver.Kubectl) -> None:
        argv = kubectl.argv("get", "svc", "-w")
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, text=True, env=kubectl.environment()
        ) as watching:
            assert watching.stdout
            assert watching.stdout.readline().startswith("NAME")
            assert watching.stdout.readline().startswith("kubernetes")
            kubectl("create", "-f", "-", stdin=apiserver.manifest(APP1))
            assert watching.stdout.readline().startswith("app1")
            watching.terminate()

    def test_what_is_not_there(self, kubectl: apiserver.Kubectl) -> None:
        message = kubectl.refused("get", "svc", "nothing")
        assert message == 'Error from server (NotFound): services "nothing" not found'
        unknown = kubectl.refused("get", "unicorns")
        assert unknown == """error: the server doesn't have a resource type "unicorns\""""


class TestWrite:
    def test_apply_three_ways(self, kubectl: apiserver.Kubectl) -> None:
        """What was applied and is no longer there goes; what others have set stays."""
        first = service("app1", sessionAffinity="ClientIP")
        assert kubectl("apply", "-f", "-", stdin=apiserver.manifest(first)) == (
            "service/app1 created\n"
        )
        assert kubectl("apply", "-f", "-", stdin=apiserver.manifest(first)) == (
            "service/app1 unchanged\n"
        )
        kubectl("annotate", "svc", "app1", "mine=stays")
        second = service("app1", ports=[{"port": 8080, "targetPort": 9090, "nodePort": 30063}])
        assert kubectl("apply", "-f", "-", stdin=apiserver.manifest(second)) == (
            "service/app1 configured\n"
        )
        found = json.loads(kubectl("get", "svc", "app1", "-o", "json"))
        assert found["metadata"]["annotations"]["mine"] == "stays"
        assert found["spec"]["sessionAffinity"] == "None"
        assert found["spec"]["ports"] == [
            {"port": 8080, "targetPort": 9090, "nodePort": 30063, "protocol": "TCP"}
        ]

    def test_label_edit_patch_and_replace(self, kubectl: apiserver.Kubectl, tmp_path: Path) -> None:
        kubectl("create", "-f", "-", stdin=apiserver.manifest(APP1))
        assert kubectl("label", "svc", "app1", "tier=web") == "service/app1 labeled\n"
        assert kubectl("label", "svc", "app1", "tier-") == "service/app1 unlabeled\n"
        editor = "sed -i s/30062/30064/"
        assert kubectl("edit", "svc", "app1", KUBE_EDITOR=editor) == "service/app1 edited\n"
        for kind, change in (
            ("merge", '{"spec":{"sessionAffinity":"ClientIP"}}'),
            ("strategic", '{"spec":{"ports":[{"port":8080,"name":"web"}]}}'),
            ("json", '[{"op":"add","path":"/metadata/labels/a","value":"b"}]'),
        ):
            kubectl("patch", "svc", "app1", f"--type={kind}", "-p", change)
        found = json.loads(kubectl("get", "svc", "app1", "-o", "json"))
        assert found["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] == 10800
        (port,) = found["spec"]["ports"]
        assert (port["name"], port["nodePort"]) == ("web", 30064)
        assert found["metadata"]["labels"] == {"name": "app1", "a": "b"}
        found["spec"]["ports"][0]["nodePort"] = 30065
        file = tmp_path / "app1.json"
        file.write_text(json.dumps(found))
        assert kubectl("replace", "-f", str(file)) == "service/app1 replaced\n"

    def test_create_by_words(self, kubectl: apiserver.Kubectl) -> None:
        """These objects travel as protobuf."""
        kubectl("create", "service", "nodeport", "a", "--tcp=80:8080", "--node-port=30100")
        kubectl("create", "service", "clusterip", "b", "--tcp=80:http")
        kubectl("create", "service", "externalname", "c", "--external-name=example.com")
        kubectl("create", "service", "clusterip", "d", "--clusterip=None")
        rows = kubectl.rows("svc", "a", "b", "c", "d")
        assert [row[1] for row in rows[1:]] == [
            "NodePort",
            "ClusterIP",
            "ExternalName",
            "ClusterIP",
        ]
        assert [row[4] for row in rows[1:]] == ["80:30100/TCP", "80/TCP", "<none>", "<none>"]
        kubectl("run", "p", "--image=labkit/echo", "--port=8080", "--labels=name=p")
        assert kubectl("expose", "pod", "p", "--port=80") == "service/p exposed\n"
        assert kubectl("get", "svc", "p", "-o", "jsonpath={.spec.selector.name}") == "p"

    def test_a_namespace_with_something_in_it(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "namespace", "room")
        kubectl(
            "-n",
            "room",
            "create",
            "-f",
            "-",
            stdin=apiserver.manifest(pod("a"), service("b", ports=[{"port": 1}])),
        )
        assert kubectl("delete", "namespace", "room", "--timeout=10s") == (
            'namespace "room" deleted\n'
        )
        assert "room" not in apiserver.names(kubectl.rows("ns"))

    def test_delete_by_name_selector_and_file(self, kubectl: apiserver.Kubectl) -> None:
        text = apiserver.manifest(pod("a"), pod("b"), pod("c"), APP1)
        kubectl("create", "-f", "-", stdin=text)
        assert kubectl("delete", "pod", "a") == 'pod "a" deleted\n'
        kubectl("delete", "pods", "-l", "name=app1")
        kubectl("delete", "-f", "-", stdin=apiserver.manifest(APP1))
        assert apiserver.names(kubectl.rows("svc")) == ["kubernetes"]

    def test_a_dry_run(self, kubectl: apiserver.Kubectl) -> None:
        text = apiserver.manifest(APP1)
        made = kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", stdin=text)
        assert "clusterIP: 10.96." in made
        kubectl.refused("get", "svc", "app1")


class TestPods:
    def test_from_pending_to_an_endpoint_and_away(
        self, kubectl: apiserver.Kubectl, server: apiserver.Server
    ) -> None:
        """The server's controllers, and a podlet's part played with the node's own token."""
        kubectl("create", "-f", "-", stdin=apiserver.manifest(APP1, pod("a")))
        with ready_node(server):
            wait_for(kubectl, "pod/a", ".spec.nodeName", "node1")
            self.report_running(server)
            kubectl("wait", "pod/a", "--for=condition=Ready", "--timeout=10s")
            wait_for(kubectl, "endpoints/app1", ".subsets[0].addresses[0].ip", "10.244.1.2")
            assert kubectl.rows("ep", "app1")[1][1] == "10.244.1.2:8080"
            kubectl("delete", "pod", "a", "--wait=false")
            assert kubectl.rows("pods")[1][2] == "Terminating"
            self.delete_finally(server)
            assert "NotFound" in kubectl.refused("get", "pod", "a")
        events = kubectl("get", "events", "-o", "jsonpath={.items[*].reason}").split()
        assert {"FailedScheduling", "Scheduled", "RegisteredNode"} <= set(events)

    def report_running(self, server: apiserver.Server) -> None:
        path = "/api/v1/namespaces/default/pods/a"
        _, found = server.request("GET", path, token="node1")
        found["status"] |= {
            "phase": "Running",
            "podIP": "10.244.1.2",
            "conditions": [*found["status"]["conditions"], {"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "echo",
                    "ready": True,
                    "restartCount": 0,
                    "image": "labkit/echo",
                    "imageID": "",
                    "state": {"running": {}},
                }
            ],
        }
        code, _ = server.request("PUT", f"{path}/status", found, token="node1")
        assert code == 200

    def delete_finally(self, server: apiserver.Server) -> None:
        path = "/api/v1/namespaces/default/pods/a?gracePeriodSeconds=0"
        assert server.request("DELETE", path, token="node1")[0] == 200

    def test_describe_tells_why_a_pod_waits(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=apiserver.manifest(pod("a")))
        kubectl("wait", "pod/a", "--for=condition=PodScheduled=False", "--timeout=10s")
        described = kubectl("describe", "pod", "a")
        assert "FailedScheduling" in described
        assert "no nodes available to schedule pods" in described


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        service("x", ports=[{"port": 80, "nodePort": 99}]),
        (
            'The Service "x" is invalid: spec.ports[0].nodePort: Invalid value: 99: provided port '
            "is not in the valid range. The range of valid ports is 30000-32767"
        ),
    ),
    (
        service("x"),
        (
            'The Service "x" is invalid: spec.ports[0].nodePort: Invalid value: 30062: '
            "provided port is already allocated"
        ),
    ),
    (
        service("x", clusterIP="10.0.0.1", ports=[{"port": 80}]),
        (
            'The Service "x" is invalid: spec.clusterIPs: Invalid value: []string{"10.0.0.1"}: '
            "failed to allocate IP 10.0.0.1: the provided IP (10.0.0.1) is not in the valid range. "
            "The range of valid IPs is 10.96.0.0/16"
        ),
    ),
    (
        service("x", ports=[{"port": "http"}]),
        (
            'Error from server (BadRequest): error when creating "STDIN": Service in version "v1" '
            "cannot be handled as a Service: json: cannot unmarshal string into Go struct field "
            "ServicePort.spec.ports.port of type int32"
        ),
    ),
    (
        service("x", foo=1),
        (
            'Error from server (BadRequest): error when creating "STDIN": Service in version "v1" '
            'cannot be handled as a Service: strict decoding error: unknown field "spec.foo"'
        ),
    ),
    (
        service("X_y", ports=[{"port": 80}]),
        (
            'The Service "X_y" is invalid: metadata.name: Invalid value: "X_y": a DNS-1035 label '
            "must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
            "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        ),
    ),
    (service("x", ports=[]), 'The Service "x" is invalid: spec.ports: Required value'),
    (
        pod("x", containers=[]),
        'The Pod "x" is invalid: spec.containers: Required value',
    ),
    (
        pod("x") | {"metadata": {"name": "x", "namespace": "nowhere"}},
        'Error from server (NotFound): error when creating "STDIN": namespaces "nowhere" not found',
    ),
]


class TestRefusals:
    @pytest.mark.parametrize(("obj", "message"), REFUSED)
    def test_what_learners_get_wrong(
        self, kubectl: apiserver.Kubectl, obj: dict[str, Any], message: str
    ) -> None:
        kubectl("create", "-f", "-", stdin=apiserver.manifest(APP1))
        assert kubectl.refused("create", "-f", "-", stdin=apiserver.manifest(obj)) == message

    def test_several_mistakes_are_listed(self, kubectl: apiserver.Kubectl) -> None:
        wrong = service("x", ports=[{"port": 0, "targetPort": 1, "protocol": "HTTP"}])
        lines = kubectl.refused("create", "-f", "-", stdin=apiserver.manifest(wrong)).splitlines()
        assert lines == [
            'The Service "x" is invalid: ',
            "* spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            (
                '* spec.ports[0].protocol: Unsupported value: "HTTP": supported values: '
                '"SCTP", "TCP", "UDP"'
            ),
        ]

    def test_an_address_is_for_life(self, kubectl: apiserver.Kubectl) -> None:
        message = kubectl.refused(
            "patch", "svc", "kubernetes", "-p", '{"spec":{"clusterIP":"10.96.0.9"}}'
        )
        assert message == (
            'The Service "kubernetes" is invalid: spec.clusterIPs[0]: Invalid value: '
            '[]string{"10.96.0.9"}: may not change once set'
        )

    def test_a_patch_with_an_unknown_field(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=apiserver.manifest(APP1))
        wrong = apiserver.manifest(service("app1", foo=1))
        message = kubectl.refused("apply", "-f", "-", stdin=wrong)
        assert message.startswith("The request is invalid: patch: Invalid value:")
        assert message.endswith('strict decoding error: unknown field "spec.foo"')

    def test_who_may_only_read(self, server: apiserver.Server) -> None:
        proxy = apiserver.Kubectl(server, token="proxy")
        assert apiserver.names(proxy.rows("svc")) == ["kubernetes"]
        assert proxy.refused("create", "-f", "-", stdin=apiserver.manifest(APP1)) == (
            'Error from server (Forbidden): error when creating "STDIN": services is forbidden: '
            'User "system:kube-proxy:node1" cannot create resource "services" in API group "" '
            'in the namespace "default"'
        )

    def test_who_is_unknown(self, server: apiserver.Server) -> None:
        """Above its last line kubectl complains of each attempt to learn what kinds there are."""
        stranger = apiserver.Kubectl(server, token="wrong")
        assert stranger.refused("get", "pods").splitlines()[-1] == (
            "error: You must be logged in to the server (Unauthorized)"
        )


class TestDiscovery:
    def test_what_there_is(self, kubectl: apiserver.Kubectl) -> None:
        listed = kubectl("api-resources", "--no-headers", "-o", "name").splitlines()
        assert {"endpoints", "events", "namespaces", "nodes", "pods", "services"} <= set(listed)
        assert "v1" in kubectl("api-versions").split()

    def test_explain(self, kubectl: apiserver.Kubectl) -> None:
        explained = kubectl("explain", "service.spec.ports.nodePort")
        assert "FIELD: nodePort <integer>" in explained

    def test_version(self, kubectl: apiserver.Kubectl) -> None:
        assert "Server Version: v1.32.0+labkit" in kubectl("version")
