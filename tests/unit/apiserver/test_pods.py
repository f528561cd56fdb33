"""Pods: defaults, rules, deletion, and the STATUS column."""

from __future__ import annotations

from typing import Any

import pytest

from labkit import errors
from labkit.apiserver import binding, registry
from labkit.apiserver.kinds import pod_columns, pods
from labkit.model import resources
from tests.unit.apiserver import cluster


def create(objects: registry.Registry, **spec: Any) -> resources.Object:
    return objects.create(pods.KIND, "default", cluster.pod("a", **spec)).object


def test_defaults(objects: registry.Registry) -> None:
    probe = {"httpGet": {"port": 8080}}
    container = {
        "name": "c",
        "image": "x:1",
        "ports": [{"containerPort": 80}],
        "readinessProbe": probe,
    }
    pod = create(objects, containers=[container])
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    spec = pod["spec"]
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == ("Always", 30)
    assert [t["key"] for t in spec["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    (found,) = spec["containers"]
    assert found["imagePullPolicy"] == "IfNotPresent"
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert found["readinessProbe"] == {
        "httpGet": {"port": 8080, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def test_a_client_cannot_invent_a_status(objects: registry.Registry) -> None:
    obj = cluster.pod() | {"status": {"phase": "Running"}}
    assert objects.create(pods.KIND, "default", obj).object["status"]["phase"] == "Pending"


@pytest.mark.parametrize(
    ("needs", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "0.5"}}, "Burstable"),
    ],
)
def test_quality_of_service(needs: dict[str, Any], quality: str) -> None:
    assert pods.quality({"containers": [{"resources": needs}]}) == quality


def container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "x", **fields}]}


TWICE = [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]
INVALID: list[tuple[dict[str, Any], str]] = [
    (
        container(ports=TWICE),
        'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"',
    ),
    (
        {**container(ports=[{"containerPort": 80, "hostPort": 81}]), "hostNetwork": True},
        (
            "spec.containers[0].ports[0].containerPort: Invalid value: 80: "
            "must match `hostPort` when `hostNetwork` is true"
        ),
    ),
    (
        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}),
        (
            'spec.containers[0].resources.requests: Invalid value: "2": '
            "must be less than or equal to cpu limit of 1500m"
        ),
    ),
    (
        container(livenessProbe={"tcpSocket": {"port": 80}, "successThreshold": 2}),
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ),
    ({"containers": []}, "spec.containers: Required value"),
    ({"containers": [{"name": "c"}]}, "spec.containers[0].image: Required value"),
    ({"containers": [{"image": "x"}]}, "spec.containers[0].name: Required value"),
    (
        {"containers": [{"name": "c", "image": "x"}] * 2},
        'spec.containers[1].name: Duplicate value: "c"',
    ),
    (
        {"restartPolicy": "Sometimes"},
        (
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: '
            '"Always", "Never", "OnFailure"'
        ),
    ),
    (
        container(ports=[{"containerPort": 0}]),
        "spec.containers[0].ports[0].containerPort: Required value",
    ),
    (
        container(ports=[{"containerPort": 70000}]),
        (
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: "
            "must be between 1 and 65535, inclusive"
        ),
    ),
    (
        container(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
        'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ),
    (
        container(readinessProbe={}),
        "spec.containers[0].readinessProbe: Required value: must specify a handler type",
    ),
    (
        container(livenessProbe={"exec": {}, "tcpSocket": {"port": 1}}),
        (
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: "
            "may not specify more than 1 handler type"
        ),
    ),
    (container(env=[{"value": "x"}]), "spec.containers[0].env[0].name: Required value"),
    (
        container(image=" x"),
        (
            'spec.containers[0].image: Invalid value: " x": '
            "must not have leading or trailing whitespace"
        ),
    ),
    ({"volumes": [{"name": "v"}]}, "spec.volumes[0]: Required value: must specify a volume type"),
    (
        {"terminationGracePeriodSeconds": -1},
        (
            "spec.terminationGracePeriodSeconds: Invalid value: -1: "
            "must be greater than or equal to 0"
        ),
    ),
    (
        {"tolerations": [{"operator": "Like", "key": "a"}]},
        (
            'spec.tolerations[0].operator: Unsupported value: "Like": supported values: '
            '"Equal", "Exists"'
        ),
    ),
    (
        {"activeDeadlineSeconds": 0},
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ),
]


@pytest.mark.parametrize(("spec", "message"), INVALID)
def test_what_a_pod_cannot_be(
    objects: registry.Registry, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.Invalid) as caught:
        create(objects, **spec)
    assert str(caught.value) == f'Pod "a" is invalid: {message}'


class TestUpdate:
    def change(self, objects: registry.Registry, **fields: Any) -> resources.Object:
        def modify(old: resources.Object) -> resources.Object:
            return {**old, "spec": {**old["spec"], **fields}}

        return objects.update(pods.KIND, "default", "a", modify).object

    def test_the_image_may_change(self, objects: registry.Registry) -> None:
        pod = create(objects)
        containers = [{**pod["spec"]["containers"][0], "image": "other"}]
        changed = self.change(objects, containers=containers)
        assert changed["spec"]["containers"][0]["image"] == "other"

    def test_the_command_may_not(self, objects: registry.Registry) -> None:
        pod = create(objects)
        containers = [{**pod["spec"]["containers"][0], "command": ["sh"]}]
        with pytest.raises(errors.Invalid, match="spec: Forbidden: pod updates may not change"):
            self.change(objects, containers=containers)

    def test_tolerations_may_only_be_added(self, objects: registry.Registry) -> None:
        pod = create(objects)
        more = [*pod["spec"]["tolerations"], {"key": "a", "operator": "Exists"}]
        self.change(objects, tolerations=more)
        with pytest.raises(errors.Invalid, match="existing toleration can not be modified"):
            self.change(objects, tolerations=[])

    def test_the_node_is_chosen_by_binding_only(self, objects: registry.Registry) -> None:
        create(objects)
        with pytest.raises(errors.Invalid, match="pod updates may not change"):
            self.change(objects, nodeName="node1")
        binding.bind(objects, "default", "a", "node1")
        with pytest.raises(errors.Conflict, match='pod a is already assigned to node "node1"'):
            binding.bind(objects, "default", "a", "node2")


class TestDeletion:
    def delete(self, objects: registry.Registry, grace_s: int | None = None) -> registry.Deleted:
        return objects.delete(pods.KIND, "default", "a", registry.DeleteOptions(grace_s))

    def test_a_pod_without_a_node_goes_at_once(self, objects: registry.Registry) -> None:
        create(objects)
        assert self.delete(objects).gone

    def test_a_running_pod_gets_its_grace_and_goes_by_its_nodes_word(
        self, objects: registry.Registry
    ) -> None:
        create(objects, terminationGracePeriodSeconds=7)
        binding.bind(objects, "default", "a", "node1")
        first = self.delete(objects)
        meta = first.stored.object["metadata"]
        assert not first.gone
        assert meta["deletionGracePeriodSeconds"] == 7
        assert meta["deletionTimestamp"] == "2023-11-14T22:13:27Z"
        assert not self.delete(objects).gone, "asking again changes nothing"
        shorter = self.delete(objects, 2).stored.object["metadata"]
        assert shorter["deletionGracePeriodSeconds"] == 2
        assert self.delete(objects, 0).gone

    def test_a_finished_pod_goes_at_once(self, objects: registry.Registry) -> None:
        create(objects)
        binding.bind(objects, "default", "a", "node1")

        def finish(old: resources.Object) -> resources.Object:
            return {**old, "status": {"phase": "Succeeded"}}

        objects.update(pods.KIND, "default", "a", finish, subresource="status")
        assert self.delete(objects).gone

    def test_a_finalizer_holds_it_back(self, objects: registry.Registry) -> None:
        obj = cluster.pod()
        obj["metadata"]["finalizers"] = ["example.com/wait"]
        objects.create(pods.KIND, "default", obj)
        assert not self.delete(objects).gone

        def release(old: resources.Object) -> resources.Object:
            meta = {k: v for k, v in old["metadata"].items() if k != "finalizers"}
            return {**old, "metadata": meta}

        objects.update(pods.KIND, "default", "a", release)
        assert objects.store.get(resources.PODS, "default", "a") is None


def status(**fields: Any) -> resources.Object:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{}]}, "status": fields}


RUNNING = {"ready": True, "state": {"running": {}}}


@pytest.mark.parametrize(
    ("pod", "summary"),
    [
        (status(phase="Pending"), "Pending"),
        (status(phase="Running", containerStatuses=[RUNNING]), "Running"),
        (
            status(
                phase="Running",
                containerStatuses=[{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
            ),
            "CrashLoopBackOff",
        ),
        (
            status(
                phase="Succeeded",
                containerStatuses=[
                    {"state": {"terminated": {"reason": "Completed", "exitCode": 0}}}
                ],
            ),
            "Completed",
        ),
        (
            status(phase="Failed", containerStatuses=[{"state": {"terminated": {"signal": 9}}}]),
            "Signal:9",
        ),
        (
            status(phase="Failed", containerStatuses=[{"state": {"terminated": {"exitCode": 3}}}]),
            "ExitCode:3",
        ),
        (status(phase="Failed", reason="Evicted"), "Evicted"),
        (
            status(
                phase="Running",
                conditions=[{"type": "Ready", "status": "True"}],
                containerStatuses=[{"state": {"terminated": {"reason": "Completed"}}}, RUNNING],
            ),
            "Running",
        ),
    ],
)
def test_the_status_column(pod: resources.Object, summary: str) -> None:
    assert pod_columns.summarise(pod) == summary


def test_terminating_overrides_all() -> None:
    pod = status(phase="Running", containerStatuses=[RUNNING])
    pod["metadata"]["deletionTimestamp"] = "2023-11-14T22:13:27Z"
    assert pod_columns.summarise(pod) == "Terminating"


@pytest.mark.parametrize(
    ("state", "summary"),
    [
        ({"running": {}}, "Init:0/1"),
        ({"waiting": {"reason": "ImagePullBackOff"}}, "Init:ImagePullBackOff"),
        ({"terminated": {"exitCode": 1, "reason": "Error"}}, "Init:Error"),
        ({"terminated": {"exitCode": 0}}, "Pending"),
    ],
)
def test_init_containers_come_first(state: dict[str, Any], summary: str) -> None:
    pod = status(phase="Pending", initContainerStatuses=[{"state": state}])
    pod["spec"]["initContainers"] = [{}]
    assert pod_columns.summarise(pod) == summary


def test_a_row(objects: registry.Registry) -> None:
    pod = create(objects)
    ended = {"terminated": {"finishedAt": "2023-11-14T22:13:20Z"}}
    pod = {
        **pod,
        "spec": {**pod["spec"], "nodeName": "node1", "readinessGates": [{"conditionType": "x"}]},
        "status": {
            "phase": "Running",
            "podIP": "10.244.1.2",
            "containerStatuses": [{**RUNNING, "restartCount": 2, "lastState": ended}],
            "conditions": [{"type": "x", "status": "True"}],
        },
    }
    assert pod_columns.row(pod, objects.clock() + 300) == [
        "a",
        "1/1",
        "Running",
        "2 (5m ago)",
        "5m",
        "10.244.1.2",
        "node1",
        "<none>",
        "1/1",
    ]
