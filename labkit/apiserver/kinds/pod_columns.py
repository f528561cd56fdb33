"""What `kubectl get pods` says of a pod: above all the STATUS column, which no field holds.

It is worked out from the phase, the reason for it, and the containers' states: `CrashLoopBackOff`
and `Completed` are a container's words, `Terminating` is a deletion under way.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.apiserver import tables
from labkit.model import resources

COLUMNS = (
    tables.Column("Name"),
    tables.Column("Ready"),
    tables.Column("Status"),
    tables.Column("Restarts"),
    tables.Column("Age"),
    tables.Column("IP", priority=1),
    tables.Column("Node", priority=1),
    tables.Column("Nominated Node", priority=1),
    tables.Column("Readiness Gates", priority=1),
)


def row(pod: resources.Object, now: float) -> list[tables.Cell]:
    spec, state = pod.get("spec", {}), pod.get("status", {})
    statuses = state.get("containerStatuses") or []
    ready = sum(1 for status in statuses if status.get("ready"))
    return [
        tables.name_of(pod),
        f"{ready}/{len(spec.get('containers') or [])}",
        summarise(pod),
        _restarts(statuses, now),
        tables.age_of(pod, now),
        state.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        state.get("nominatedNodeName") or "<none>",
        _gates(spec, state),
    ]


def summarise(pod: resources.Object) -> str:
    """The STATUS column."""
    state = pod.get("status", {})
    reason = str(state.get("reason") or state.get("phase") or "Unknown")
    starting = _initialising(pod)
    reason = starting or _running(state.get("containerStatuses") or [], reason, pod)
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if state.get("reason") == "NodeLost" else "Terminating"
    return reason


def _initialising(pod: resources.Object) -> str:
    """What holds up the init containers; empty when they are done, or there are none."""
    statuses = pod.get("status", {}).get("initContainerStatuses") or []
    total = len(pod.get("spec", {}).get("initContainers") or [])
    for index, status in enumerate(statuses):
        state = status.get("state") or {}
        ended = state.get("terminated")
        if ended and ended.get("exitCode", 0) == 0:
            continue
        if ended:
            return f"Init:{_ending(ended)}"
        waiting = (state.get("waiting") or {}).get("reason", "")
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{index}/{total}"
    return ""


def _running(statuses: Sequence[resources.Object], reason: str, pod: resources.Object) -> str:
    """The first container with something to say speaks for the pod."""
    running = False
    for status in reversed(statuses):
        state = status.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = str(waiting["reason"])
        elif ended:
            reason = _ending(ended)
        elif status.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        return "Running" if _is_ready(pod) else "NotReady"
    return reason


def _ending(ended: resources.Object) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _is_ready(pod: resources.Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _restarts(statuses: Sequence[resources.Object], now: float) -> str:
    """`3 (25s ago)`: all containers' restarts, and when the last of them ended."""
    count = sum(status.get("restartCount", 0) for status in statuses)
    endings = [
        ended["finishedAt"]
        for status in statuses
        if (ended := (status.get("lastState") or {}).get("terminated")) and ended.get("finishedAt")
    ]
    if count and endings:
        return f"{count} ({tables.since(max(endings), now)} ago)"
    return str(count)


def _gates(spec: resources.Object, state: resources.Object) -> str:
    gates = [gate.get("conditionType") for gate in spec.get("readinessGates") or []]
    if not gates:
        return "<none>"
    met = {c.get("type") for c in state.get("conditions") or [] if c.get("status") == "True"}
    return f"{sum(1 for gate in gates if gate in met)}/{len(gates)}"
