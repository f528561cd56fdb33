"""The status that the API is told: phases, conditions, container states, stable times."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from labkit.model.resources import Object
from labkit.podlet import images, pods, state, status
from tests.unit.podlet import samples
from tests.unit.podlet.samples import NOW


def render(pod: state.Pod, before: Object | None = None, **spec: Any) -> Object:
    wanted = samples.wanted(**spec)
    wanted["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
    return status.render(wanted, pod, host_ip="192.168.56.11", now=NOW, before=before or {})


def test_a_pod_that_runs() -> None:
    assert render(samples.pod(samples.running(restarts=1, last=samples.ended(3).run))) == {
        "phase": "Running",
        "conditions": [
            {"type": "Initialized", "status": "True", "lastTransitionTime": "1970-01-12T13:46:40Z"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-12T13:46:40Z"},
            {
                "type": "ContainersReady",
                "status": "True",
                "lastTransitionTime": "1970-01-12T13:46:40Z",
            },
            {"type": "PodScheduled", "status": "True"},
        ],
        "hostIP": "192.168.56.11",
        "hostIPs": [{"ip": "192.168.56.11"}],
        "podIP": "10.244.1.2",
        "podIPs": [{"ip": "10.244.1.2"}],
        "startTime": "1970-01-12T13:45:00Z",
        "qosClass": "BestEffort",
        "containerStatuses": [
            {
                "name": "main",
                "image": "labkit/echo",
                "imageID": "labkit/echo@built-in",
                "containerID": "labkit://" + "f" * 64,
                "state": {"running": {"startedAt": "1970-01-12T13:45:40Z"}},
                "lastState": {
                    "terminated": {
                        "exitCode": 3,
                        "reason": "Error",
                        "startedAt": "1970-01-12T13:45:40Z",
                        "finishedAt": "1970-01-12T13:46:39Z",
                        "containerID": "labkit://" + "f" * 64,
                    }
                },
                "ready": True,
                "started": True,
                "restartCount": 1,
            }
        ],
    }


@pytest.mark.parametrize(
    ("container", "policy", "phase", "reason"),
    [
        (state.Container("main"), "Always", "Pending", "ContainersNotReady"),
        (samples.running(ready=False), "Always", "Running", "ContainersNotReady"),
        (samples.ended(0), "Never", "Succeeded", "PodCompleted"),
        (samples.ended(1), "Never", "Failed", "PodFailed"),
        (samples.ended(1), "Always", "Running", "ContainersNotReady"),
    ],
)
def test_phase_and_readiness(
    container: state.Container, policy: str, phase: str, reason: str
) -> None:
    told = render(samples.pod(container), restartPolicy=policy)
    assert told["phase"] == phase
    assert told["conditions"][1]["status"] == "False"
    assert told["conditions"][1]["reason"] == reason


def test_who_waits_says_why_and_what_was_before() -> None:
    waiting = pods.after_exit(samples.running(refusals=2), 1, NOW)
    told = render(samples.pod(waiting))
    (container,) = told["containerStatuses"]
    assert container["state"] == {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 20s restarting failed container",
        }
    }
    assert container["lastState"]["terminated"]["exitCode"] == 1


def test_who_never_ran_has_no_container_id() -> None:
    refused = pods.after_refusal(state.Container("main"), images.Refusal("no", pulling=True), NOW)
    told = render(samples.pod(refused))
    (container,) = told["containerStatuses"]
    assert "containerID" not in container
    assert container["lastState"] == {}
    assert container["state"]["waiting"] == {"reason": "ErrImagePull", "message": "no"}


def test_times_change_only_with_what_they_are_about() -> None:
    pod = samples.pod(samples.running())
    before: Object = {
        "startTime": "then",
        "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "then"},
            {"type": "ContainersReady", "status": "False", "lastTransitionTime": "then"},
        ],
    }
    told = render(pod, before)
    assert told["startTime"] == "then"
    assert told["conditions"][1]["lastTransitionTime"] == "then"
    assert told["conditions"][2]["lastTransitionTime"] != "then"
    again = render(pod, told)
    assert again == told


def test_a_pod_that_lost_its_namespace_keeps_its_address() -> None:
    lost = dataclasses.replace(samples.pod(samples.ended(0)), address=None)
    told = render(lost, restartPolicy="Never")
    assert told["podIP"] == "10.244.1.2"
