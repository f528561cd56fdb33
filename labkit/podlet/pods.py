"""What to do next for one pod: pure, from what is wanted and what is.

Nothing here remembers how far it has come. Each time something happens to a pod the worker asks
again, does what it is told, and asks once more, until there is nothing left but to wait:

    no record, wanted                   -> Create          an address, the namespace, the wire
    container not running, may run      -> Start           a process
    container cannot run here           -> Refuse          wait with a reason, longer each time
    pod is to go, container runs        -> Terminate       TERM, and a moment to end
    that moment has passed              -> Kill
    nothing runs, all ended for good    -> Release         the namespace, wire and address are free
    nothing runs, pod is to go          -> Remove          and the API server may forget it
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from labkit.model.resources import Object
from labkit.podlet import images, state

#: The waits before a restart: none the first time, then doubling, as kubelet's.
BACK_OFF_S = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
#: Who ran for so long has recovered: the next restart is the first again.
RECOVERED_S = 600.0
DEFAULT_GRACE_S = 30.0
_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Create:
    """Give the pod its address, its namespace and its wire."""


@dataclass(frozen=True, slots=True)
class Start:
    """Run the container."""

    container: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not run the container, and say why."""

    container: str
    refusal: images.Refusal


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask the container to end; it has `grace_s` seconds."""

    container: str
    grace_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End the container at once."""

    container: str


@dataclass(frozen=True, slots=True)
class Release:
    """Take the namespace and the wire away, and keep what is known of the pod."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Take everything away, the memory of the pod as well."""


Action = Create | Start | Refuse | Terminate | Kill | Release | Remove


def plan(
    wanted: Object | None, pod: state.Pod | None, now: float, *, is_absent: bool = False
) -> tuple[Action, ...]:
    """Say what to do now.

    `wanted` is the pod as the API server has it, or had it last: then `is_absent`. It is None for
    one that is only remembered here.
    """
    if wanted is None or is_absent or is_ending(wanted):
        return tuple(_plan_end(wanted, pod, now)) if pod else ()
    if pod is None:
        return () if is_finished(wanted) else (Create(),)
    return tuple(_plan_life(wanted, pod, now))


def begin(wanted: Object, now: float) -> state.Pod:
    """A pod that is new here. Containers that ran before the node lost its memory count on."""
    meta = wanted["metadata"]
    past = wanted.get("status", {}).get("containerStatuses") or ()
    restarts = {each["name"]: each.get("restartCount", 0) + 1 for each in past if _has_run(each)}
    return state.Pod(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        created=now,
        containers=tuple(
            state.Container(spec["name"], restarts=restarts.get(spec["name"], 0))
            for spec in wanted["spec"]["containers"]
        ),
    )


def address_in(wanted: Object) -> IPv4Address | None:
    """The address that the pod had when it was last heard of."""
    address = wanted.get("status", {}).get("podIP")
    return IPv4Address(address) if address else None


def _has_run(status: Object) -> bool:
    return bool(status.get("containerID"))


def next_time(pod: state.Pod, now: float) -> float | None:
    """When to ask again although nothing has happened; None: when something happens."""
    times = []
    for container in pod.containers:
        if container.is_running and not container.killed:
            times.append(container.kill_at)
        elif container.retry_at > now:
            times.append(container.retry_at)
    return min((time for time in times if time), default=None)


def is_ending(wanted: Object) -> bool:
    return bool(wanted["metadata"].get("deletionTimestamp"))


def is_finished(wanted: Object) -> bool:
    return wanted.get("status", {}).get("phase") in _FINISHED


def restart_policy(wanted: Object) -> str:
    return str(wanted["spec"].get("restartPolicy") or "Always")


def grace_of(wanted: Object | None) -> float:
    """How long the pod's programs have to end: what the deletion says, else what the pod says."""
    if wanted is None:
        return DEFAULT_GRACE_S
    for place, key in (
        (wanted["metadata"], "deletionGracePeriodSeconds"),
        (wanted["spec"], "terminationGracePeriodSeconds"),
    ):
        if place.get(key) is not None:
            return float(place[key])
    return DEFAULT_GRACE_S


def is_backing_off(wanted: Object, container: state.Container) -> bool:
    waits = container.reason == "CrashLoopBackOff" and not container.is_running
    return waits and not is_over(container, restart_policy(wanted))


def is_over(container: state.Container, policy: str) -> bool:
    """True when the container has ended and is not to be started again."""
    if container.run is None or not container.run.is_over:
        return False
    return policy == "Never" or (policy == "OnFailure" and container.run.exit_code == 0)


def after_exit(container: state.Container, exit_code: int, now: float) -> state.Container:
    """The container once its run has ended: when it may run again, and why it waits until then."""
    run = dataclasses.replace(container.live_run, finished=now, exit_code=exit_code)
    recovered = now - run.started > RECOVERED_S
    step = 0 if recovered else min(container.refusals, len(BACK_OFF_S) - 1)
    delay_s = BACK_OFF_S[step]
    return dataclasses.replace(
        container,
        run=run,
        ready=False,
        kill_at=0.0,
        killed=False,
        refusals=step + 1,
        retry_at=now + delay_s,
        reason="CrashLoopBackOff" if delay_s else "ContainerCreating",
        message=f"back-off {delay_s:.0f}s restarting failed container" if delay_s else "",
    )


def after_refusal(
    container: state.Container, refusal: images.Refusal, now: float
) -> state.Container:
    """The container that could not be started: it is tried again, ever more slowly."""
    reason = "CreateContainerConfigError"
    if refusal.pulling:
        reason = "ImagePullBackOff" if container.refusals else "ErrImagePull"
    step = min(container.refusals + 1, len(BACK_OFF_S) - 1)
    return dataclasses.replace(
        container,
        refusals=step,
        retry_at=now + BACK_OFF_S[step],
        reason=reason,
        message=refusal.message,
    )


def _plan_end(wanted: Object | None, pod: state.Pod, now: float) -> Iterator[Action]:
    running = [container for container in pod.containers if container.is_running]
    if not running:
        yield Remove()
    for container in running:
        if container.killed:
            continue
        deadline = now + grace_of(wanted)
        if container.kill_at and now >= container.kill_at:
            yield Kill(container.name)
        elif not container.kill_at or deadline < container.kill_at:
            yield Terminate(
                container.name, grace_of(wanted), f"Stopping container {container.name}"
            )


def _plan_life(wanted: Object, pod: state.Pod, now: float) -> Iterator[Action]:
    policy = restart_policy(wanted)
    if all(is_over(container, policy) for container in pod.containers):
        if pod.address is not None:
            yield Release()
        return
    if pod.address is None:
        yield Create()
        return
    for spec in wanted["spec"]["containers"]:
        yield from _plan_container(wanted, spec, pod.container(spec["name"]), now)


def _plan_container(
    wanted: Object, spec: Object, container: state.Container, now: float
) -> Iterator[Action]:
    if container.killed:
        return
    if container.is_running:
        if container.kill_at and now >= container.kill_at:
            yield Kill(container.name)
        elif container.live_run.image != spec["image"] and not container.kill_at:
            why = f"Container {container.name} definition changed, will be restarted"
            yield Terminate(container.name, grace_of(wanted), why)
    elif not is_over(container, restart_policy(wanted)) and now >= container.retry_at:
        refusal = images.explain_refusal(wanted, spec)
        yield Refuse(container.name, refusal) if refusal else Start(container.name)
