"""The real kubectl, verb by verb: how objects are chosen and shown, made, marked and taken away."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Iterator

import pytest

from tests.contracts import apiserver
from tests.contracts.test_kubectl import APP1, pod, ready_node, service, wait_for
from tests.contracts.test_kubectl_slices import run_pod


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.Server]:
    with apiserver.running(tmp_path_factory.mktemp("verbs")) as made:
        yield made


@pytest.fixture
def kubectl(server: apiserver.Server) -> Iterator[apiserver.Kubectl]:
    """With app1 and its pod, which no node runs."""
    made = apiserver.Kubectl(server)
    made("create", "-f", "-", stdin=apiserver.manifest(APP1, pod("a")))
    yield made
    made("delete", "deployments,replicasets,configmaps", "--all", "--timeout=10s")
    made("delete", "pods", "--all", "--force", "--grace-period=0", "--timeout=10s")
    left = [
        name for name in apiserver.names(made.rows("svc")) if name not in ("kubernetes", "NAME")
    ]
    if left:
        made("delete", "svc", *left)


class TestShow:
    def test_columns_of_ones_own(self, kubectl: apiserver.Kubectl) -> None:
        columns = "-o=custom-columns=WHO:.metadata.name,PORT:.spec.ports[*].nodePort"
        assert kubectl("get", "svc", "app1", columns).split() == ["WHO", "PORT", "app1", "30062"]
        template = "-o=go-template={{range .spec.ports}}{{.port}}/{{.protocol}}{{end}}"
        assert kubectl("get", "svc", "app1", template) == "8080/TCP"
        header, row = kubectl.rows("pods", "--show-labels", "-L", "name")
        assert (header[-2:], row[-2:]) == (["NAME", "LABELS"], ["app1", "name=app1"])

    def test_selectors(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("label", "pod", "a", "tier=web")
        for selector, found in (
            ("name in (app1,x),tier!=db", ["pod/a"]),
            ("tier notin (web)", []),
            ("!tier", []),
            ("tier", ["pod/a"]),
            ("name==app1", ["pod/a"]),
        ):
            assert kubectl("get", "pods", "-l", selector, "-o", "name").split() == found, selector
        assert kubectl.refused("get", "svc", "--field-selector", "spec.foo=x") == (
            'Error from server (BadRequest): Unable to find "/v1, Resource=services" that match '
            'label selector "", field selector "spec.foo=x": field label not supported: spec.foo'
        )

    def test_pages_and_raw_answers(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=apiserver.manifest(pod("b"), pod("c")))
        paged = kubectl("get", "pods", "--chunk-size=1", "-o", "name").split()
        assert paged == ["pod/a", "pod/b", "pod/c"]
        raw = json.loads(kubectl("get", "--raw", "/api/v1/namespaces/default/services/app1"))
        assert raw["spec"]["ports"][0]["nodePort"] == 30062
        assert kubectl.refused("get", "--raw", "/api/v1/unicorns") == (
            "Error from server (NotFound): the server could not find the requested resource"
        )

    def test_events_of_a_watch(self, kubectl: apiserver.Kubectl) -> None:
        argv = kubectl.argv("get", "pods", "--watch-only", "--output-watch-events", "--no-headers")
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, text=True, env=kubectl.environment()
        ) as watching:
            assert watching.stdout
            seen: list[str] = []
            # When exactly it begins to watch cannot be seen from outside: change until it does.
            for number in range(200):
                kubectl("label", "pod", "a", f"n={number}", "--overwrite")
                if watching.poll() is None and _has_line(watching):
                    break
            seen += watching.stdout.readline().split()[:2]
            watching.terminate()
        assert seen == ["MODIFIED", "a"]

    def test_metrics_are_missing_as_on_a_cluster_without_them(
        self, kubectl: apiserver.Kubectl
    ) -> None:
        for what in ("nodes", "pods"):
            assert kubectl.refused("top", what) == "error: Metrics API not available"


def _has_line(process: subprocess.Popen[str]) -> bool:
    assert process.stdout
    return bool(select.select([process.stdout], [], [], 0.05)[0])


class TestDescribe:
    def test_a_service_with_what_is_behind_it(
        self, kubectl: apiserver.Kubectl, server: apiserver.Server
    ) -> None:
        with ready_node(server):
            run_pod(kubectl, "a", "10.244.1.2")
            wait_for(kubectl, "endpoints/app1", ".subsets[0].addresses[0].ip", "10.244.1.2")
            chosen = ("endpointslice", "-l", "kubernetes.io/service-name=app1")
            kubectl("wait", *chosen, "--for=jsonpath={.endpoints[0].addresses[0]}=10.244.1.2")
            lines = _facts(kubectl("describe", "svc", "app1"))
            assert lines["Type"] == "NodePort"
            assert lines["TargetPort"] == "8080/TCP"
            assert lines["NodePort"] == "<unset>  30062/TCP"
            assert lines["Endpoints"] == "10.244.1.2:8080"
            assert lines["Internal Traffic Policy"] == "Cluster"
            described = kubectl("describe", "endpoints", "app1")
            assert _facts(described)["Addresses"] == "10.244.1.2"
            assert "<unset>  8080  TCP" in described
            assert _facts(kubectl("describe", *chosen))["TargetRef"] == "Pod/a"
            described = kubectl("describe", "node", "node1")
            assert "Non-terminated Pods:          (1 in total)" in described
            assert "Allocated resources:" in described
            assert _facts(described)["PodCIDR"] == "10.244.1.0/24"
            assert "Scheduled" in kubectl("describe", "pod", "a")
            kubectl("delete", "pod", "a", "--force", "--grace-period=0")

    def test_a_namespace(self, kubectl: apiserver.Kubectl) -> None:
        assert _facts(kubectl("describe", "ns", "default"))["Status"] == "Active"


def _facts(described: str) -> dict[str, str]:
    """The lines `Name: value`; of equal names the first."""
    pairs = [line.partition(":") for line in reversed(described.splitlines())]
    return {name.strip(" -"): value.strip() for name, _, value in pairs}


class TestMake:
    def test_by_words(self, kubectl: apiserver.Kubectl) -> None:
        assert kubectl("create", "configmap", "c", "--from-literal=k=v") == (
            "configmap/c created\n"
        )
        assert kubectl("create", "service", "loadbalancer", "lb", "--tcp=80:8080") == (
            "service/lb created\n"
        )
        assert kubectl.rows("svc", "lb")[1][1] == "LoadBalancer"
        made = kubectl("create", "deployment", "d", "--image=x", "--dry-run=server", "-o", "name")
        assert made == "deployment.apps/d\n"
        made = kubectl("create", "deployment", "d", "--image=x", "--dry-run=client", "-o", "yaml")
        assert "kind: Deployment" in made
        kubectl.refused("get", "deployment", "d")

    def test_run_and_expose(self, kubectl: apiserver.Kubectl) -> None:
        made = kubectl("run", "w", "--image=labkit/echo", "--port=8080", "--expose")
        assert made == "service/w created\npod/w created\n"
        assert kubectl("get", "svc", "w", "-o", "jsonpath={.spec.selector.run}") == "w"
        kubectl("run", "t", "--image=labkit/host", "--labels=a=b", "--command", "--", "sleep", "9")
        path = "-o=jsonpath={.spec.containers[0].command}{.metadata.labels.a}"
        assert kubectl("get", "pod", "t", path) == '["sleep","9"]b'
        assert kubectl("expose", "pod", "w", "--port=81", "--name=p") == "service/p exposed\n"
        words = ("expose", "service", "app1", "--port=82", "--name=s", "--type=NodePort")
        assert kubectl(*words) == "service/s exposed\n"
        assert kubectl.rows("svc", "s")[1][4].startswith("82:3")
        kubectl("create", "deployment", "web", "--image=labkit/echo", "--port=8080")
        kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080")
        assert kubectl("get", "svc", "web", "-o", "jsonpath={.spec.selector.app}") == "web"

    def test_replace(self, kubectl: apiserver.Kubectl) -> None:
        before = kubectl("get", "svc", "app1", "-o", "jsonpath={.spec.clusterIP}")
        fresh = apiserver.manifest(service("app1", ports=[{"port": 1}]))
        assert kubectl("replace", "-f", "-", stdin=fresh) == "service/app1 replaced\n"
        assert kubectl("get", "svc", "app1", "-o", "jsonpath={.spec.clusterIP}") == before
        stale = json.loads(kubectl("get", "svc", "app1", "-o", "json"))
        kubectl("label", "svc", "app1", "x=y")
        assert kubectl.refused("replace", "-f", "-", stdin=json.dumps(stale)) == (
            'Error from server (Conflict): error when replacing "STDIN": Operation cannot be '
            'fulfilled on services "app1": the object has been modified; please apply your '
            "changes to the latest version and try again"
        )
        forced = kubectl("replace", "--force", "-f", "-", stdin=fresh)
        assert forced == 'service "app1" deleted\nservice/app1 replaced\n'


class TestMark:
    def test_labels_are_not_overwritten_unasked(self, kubectl: apiserver.Kubectl) -> None:
        assert kubectl.refused("label", "pod", "a", "name=x") == (
            "error: 'name' already has a value (app1), and --overwrite is false"
        )
        assert kubectl("label", "pod", "a", "name=x", "--overwrite") == "pod/a labeled\n"
        assert kubectl("label", "pods", "--all", "name=app1", "--overwrite") == "pod/a labeled\n"
        assert kubectl("label", "pod", "a", "--list") == "name=app1\n"
        assert "a valid label must be an empty string" in kubectl.refused(
            "label", "pod", "a", "bad=_x_"
        )

    def test_nor_are_annotations(self, kubectl: apiserver.Kubectl) -> None:
        assert kubectl("annotate", "svc", "app1", "why=because") == "service/app1 annotated\n"
        assert kubectl.refused("annotate", "svc", "app1", "why=not") == (
            "error: --overwrite is false but found the following declared annotation(s): "
            "'why' already has a value (because)"
        )
        kubectl("annotate", "svc", "app1", "why=not", "--overwrite")
        assert kubectl("annotate", "svc", "app1", "why-") == "service/app1 annotated\n"

    def test_setting_parts(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "deployment", "web", "--image=labkit/echo")
        for words, printed in (
            (("image", "deployment/web", "echo=labkit/echo:2"), "image updated"),
            (("env", "deployment/web", "A=b"), "env updated"),
            (("resources", "deployment/web", "--limits=cpu=1"), "resource requirements updated"),
        ):
            assert kubectl("set", *words) == f"deployment.apps/web {printed}\n"
        assert kubectl("set", "env", "deployment/web", "--list").splitlines()[1:] == ["A=b"]
        assert kubectl("set", "selector", "svc", "app1", "name=z") == (
            "service/app1 selector updated\n"
        )
        wait_for(kubectl, "endpoints/app1", ".metadata.name", "app1")
        assert kubectl.rows("ep", "app1")[1][1] == "<none>"


class TestScale:
    def test_only_from_the_number_that_was_seen(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "deployment", "web", "--image=labkit/echo")
        scale = ("scale", "deployment", "web", "--replicas=2")
        assert kubectl.refused(*scale, "--current-replicas=3") == (
            "error: Expected replicas to be 3, was 1"
        )
        assert kubectl(*scale, "--current-replicas=1") == "deployment.apps/web scaled\n"

    def test_nobody_scales_by_load(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "deployment", "web", "--image=labkit/echo")
        assert kubectl.refused("autoscale", "deployment", "web", "--min=1", "--max=3") == (
            "Error from server (NotFound): the server could not find the requested resource"
        )

    def test_a_paused_rollout(self, kubectl: apiserver.Kubectl) -> None:
        kubectl("create", "deployment", "web", "--image=labkit/echo")
        assert kubectl("rollout", "pause", "deployment/web") == "deployment.apps/web paused\n"
        assert kubectl.refused("rollout", "restart", "deployment/web") == (
            'error: deployments.apps "web" can\'t restart paused deployment '
            "(run rollout resume first)"
        )
        assert kubectl("rollout", "resume", "deployment/web") == "deployment.apps/web resumed\n"


class TestWait:
    def test_for_what_is_and_what_is_not(self, kubectl: apiserver.Kubectl) -> None:
        assert kubectl("wait", "svc/app1", "--for=jsonpath={.spec.type}=NodePort") == (
            "service/app1 condition met\n"
        )
        # Above it kubectl may complain of its own watch, which was short.
        assert kubectl.refused("wait", "pod/a", "--for=delete", "--timeout=1s").endswith(
            "error: timed out waiting for the condition on pods/a"
        )
        assert kubectl.refused("wait", "pod/no", "--for=condition=Ready", "--timeout=1s") == (
            'Error from server (NotFound): pods "no" not found'
        )
        assert kubectl("wait", "--for=create", "pod/a", "--timeout=5s") == "pod/a condition met\n"


class TestDelete:
    def test_with_force_and_all(self, kubectl: apiserver.Kubectl) -> None:
        done = kubectl.run("delete", "pod", "a", "--force", "--grace-period=0")
        assert done.stdout == 'pod "a" force deleted\n'
        assert "Immediate deletion does not wait" in done.stderr
        kubectl("create", "-f", "-", stdin=apiserver.manifest(pod("b"), pod("c")))
        assert kubectl("delete", "pods", "--all") == 'pod "b" deleted\npod "c" deleted\n'
        assert kubectl("delete", "pod", "none", "--ignore-not-found") == ""
        assert kubectl.refused("delete", "pod", "none") == (
            'Error from server (NotFound): pods "none" not found'
        )

    def test_without_waiting_and_not_at_all(self, kubectl: apiserver.Kubectl) -> None:
        assert kubectl("delete", "svc", "app1", "--dry-run=server") == (
            'service "app1" deleted (server dry run)\n'
        )
        assert kubectl("delete", "svc", "app1", "--wait=false") == 'service "app1" deleted\n'
        assert kubectl.refused("delete", "ns", "default") == (
            'Error from server (Forbidden): namespaces "default" is forbidden: '
            "this namespace may not be deleted"
        )


class TestNodes:
    def test_cordon_taint_and_drain(
        self, kubectl: apiserver.Kubectl, server: apiserver.Server
    ) -> None:
        kubectl("delete", "pod", "a")
        with ready_node(server):
            assert kubectl("cordon", "node1") == "node/node1 cordoned\n"
            assert kubectl.rows("nodes")[1][1] == "Ready,SchedulingDisabled"
            assert kubectl("uncordon", "node1") == "node/node1 uncordoned\n"
            assert kubectl("taint", "node", "node1", "a=b:NoSchedule") == "node/node1 tainted\n"
            assert "a=b:NoSchedule" in kubectl("describe", "node", "node1")
            assert kubectl("drain", "node1") == "node/node1 cordoned\nnode/node1 drained\n"


class TestContainers:
    def test_a_server_without_kubelets_says_so(
        self, kubectl: apiserver.Kubectl, server: apiserver.Server
    ) -> None:
        assert kubectl.refused("exec", "a", "--", "true") == (
            "Error from server (BadRequest): pod a does not have a host assigned"
        )
        assert "ephemeral containers are disabled for this cluster" in kubectl.refused(
            "debug", "a", "--image=busybox"
        )
