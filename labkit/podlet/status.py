"""What the API is told about a pod: pure, from the pod as it was asked for and as it is.

    phase        Pending until its containers have begun, then Running, at the end Succeeded, Failed
    conditions   Initialized, ContainersReady, Ready; PodScheduled is the scheduler's and is kept
    containers   waiting with a reason, running since when, or terminated with which exit code;
                 `lastState` is the run before, `restartCount` how often it was started anew

A pod is ready when all its containers are. The endpoints controller sends traffic to no other.
"""

from __future__ import annotations

import time
from typing import Any

from labkit.model.resources import Object
from labkit.podlet import pods, state

_READY = ("Ready", "ContainersReady")


def render(wanted: Object, pod: state.Pod, *, host_ip: str, now: float, before: Object) -> Object:
    """Render the whole status. Times that need not change are taken from the status `before`."""
    phase = phase_of(pod, pods.restart_policy(wanted))
    status: Object = {
        "phase": phase,
        "conditions": [*_conditions(before, pod, phase, now), *_foreign_conditions(wanted)],
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": before.get("startTime") or render_time(pod.created),
        "containerStatuses": [_container(wanted, container) for container in pod.containers],
        "qosClass": "BestEffort",
    }
    address = pod.address or pod.last_address
    if address is not None:
        status |= {"podIP": str(address), "podIPs": [{"ip": str(address)}]}
    return status


def phase_of(pod: state.Pod, policy: str) -> str:
    if all(pods.is_over(container, policy) for container in pod.containers):
        codes = {container.run.exit_code for container in pod.containers if container.run}
        return "Failed" if codes - {0} else "Succeeded"
    begun = all(container.run is not None for container in pod.containers)
    return "Running" if begun else "Pending"


def is_ready(pod: state.Pod) -> bool:
    return all(container.ready for container in pod.containers)


def readiness(obj: Object) -> str:
    """The Ready condition of a pod or node, as the API has it; empty where it has none."""
    conditions = obj.get("status", {}).get("conditions") or ()
    return next((str(each["status"]) for each in conditions if each["type"] == "Ready"), "")


def render_time(seconds: float) -> str:
    """Seconds since 1970 as the API writes a time.

    >>> render_time(0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _conditions(before: Object, pod: state.Pod, phase: str, now: float) -> list[Object]:
    known = {condition["type"]: condition for condition in before.get("conditions") or ()}
    ours = [_condition("Initialized", reason="", message="")]
    ours += [_readiness(kind, pod, phase) for kind in _READY]
    for condition in ours:
        old = known.get(condition["type"], {})
        same = old.get("status") == condition["status"]
        moment = old.get("lastTransitionTime") if same else None
        condition["lastTransitionTime"] = moment or render_time(now)
    return ours


def _foreign_conditions(wanted: Object) -> list[Object]:
    conditions = wanted.get("status", {}).get("conditions") or ()
    return [each for each in conditions if each["type"] not in ("Initialized", *_READY)]


def _readiness(kind: str, pod: state.Pod, phase: str) -> Object:
    if phase == "Succeeded":
        return _condition(kind, reason="PodCompleted", message="")
    unready = [container.name for container in pod.containers if not container.ready]
    if not unready:
        return _condition(kind, reason="", message="")
    reason = "PodFailed" if phase == "Failed" else "ContainersNotReady"
    message = f"containers with unready status: [{' '.join(unready)}]"
    return _condition(kind, reason=reason, message=message)


def _condition(kind: str, *, reason: str, message: str) -> Object:
    """A condition that has a reason is one that does not hold."""
    condition: Object = {"type": kind, "status": "False" if reason else "True"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _container(wanted: Object, container: state.Container) -> Object:
    spec = next(each for each in wanted["spec"]["containers"] if each["name"] == container.name)
    rendered: Object = {
        "name": container.name,
        "image": spec["image"],
        "imageID": f"{spec['image']}@built-in" if container.run else "",
        "state": _state(container, pods.restart_policy(wanted)),
        "lastState": _terminated(container.last) if container.last else {},
        "ready": container.ready,
        "started": container.is_running,
        "restartCount": container.restarts,
    }
    if container.run:
        rendered["containerID"] = f"labkit://{container.run.id}"
    if container.run and container.run.is_over and "waiting" in rendered["state"]:
        rendered["lastState"] = _terminated(container.run)
    return rendered


def _state(container: state.Container, policy: str) -> dict[str, Any]:
    if container.run and not container.run.is_over:
        return {"running": {"startedAt": render_time(container.run.started)}}
    if container.run and pods.is_over(container, policy):
        return _terminated(container.run)
    waiting = {"reason": container.reason}
    if container.message:
        waiting["message"] = container.message
    return {"waiting": waiting}


def _terminated(run: state.Run) -> dict[str, Any]:
    return {
        "terminated": {
            "exitCode": run.exit_code,
            "reason": "Error" if run.exit_code else "Completed",
            "startedAt": render_time(run.started),
            "finishedAt": render_time(run.finished),
            "containerID": f"labkit://{run.id}",
        }
    }
