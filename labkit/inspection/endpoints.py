"""The pods behind a Service, and the reason where there are none.

A Service has no pods. It has a selector; the endpoints controller looks for pods with those
labels, and writes the address of each ready one, with its own port, into the Endpoints object of
the same name. The proxy reads only that object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.model import resources


@dataclass(frozen=True, slots=True)
class Backend:
    """An address in the Endpoints object. `why` says why it is not ready."""

    address: str
    port: int
    port_name: str
    pod: str
    node: str
    ready: bool
    why: str = ""


def list_backends(
    endpoints: resources.Object | None, pods: Sequence[resources.Object]
) -> tuple[Backend, ...]:
    """Every address with its pod and node, those that are not ready as well."""
    by_address = {(pod.get("status") or {}).get("podIP", ""): pod for pod in pods}
    return tuple(
        _backend(address, port, by_address.get(address["ip"]), ready=ready)
        for subset in (endpoints or {}).get("subsets") or ()
        for port in subset.get("ports") or ()
        for key, ready in (("addresses", True), ("notReadyAddresses", False))
        for address in subset.get(key) or ()
    )


def explain_backends(
    service: resources.Object, backends: Sequence[Backend], pods: Sequence[resources.Object]
) -> tuple[str, ...]:
    """Why nobody answers, or not everybody who could; nothing where all is well."""
    if service["spec"].get("type") == "ExternalName":
        return ()
    ready = {backend.pod for backend in backends if backend.ready}
    problems = list(_problems(service, ready, pods))
    if not ready:
        problems.append(
            "There is no ready endpoint: a proxy accepts each connection and closes it."
        )
    return tuple(problems)


def selector_text(service: resources.Object) -> str:
    """The selector as kubectl takes it: `app=web,tier=front`."""
    selector = service["spec"].get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def why_not_ready(pod: resources.Object) -> str:
    """What a pod waits for; empty when it is ready."""
    if pod["metadata"].get("deletionTimestamp"):
        return "it is being deleted"
    status = pod.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    reasons = [
        *_container_reasons(status),
        *(_told(conditions.get(name, {})) for name in ("PodScheduled", "ContainersReady", "Ready")),
    ]
    phase = f"its phase is {status.get('phase', 'unknown')}"
    return next((reason for reason in reasons if reason), phase)


def _backend(
    address: resources.Object,
    port: resources.Object,
    pod: resources.Object | None,
    *,
    ready: bool,
) -> Backend:
    target = address.get("targetRef") or {}
    pod_node = pod["spec"].get("nodeName", "") if pod else ""
    return Backend(
        address["ip"],
        port.get("port") or 0,
        port.get("name") or "",
        target.get("name") or (pod["metadata"]["name"] if pod else ""),
        address.get("nodeName") or pod_node,
        ready,
        "" if ready or not pod else why_not_ready(pod),
    )


def _problems(
    service: resources.Object, ready: set[str], pods: Sequence[resources.Object]
) -> Iterator[str]:
    selector = service["spec"].get("selector") or {}
    if not selector:
        if not ready:
            yield "The Service has no selector, and nobody has made Endpoints for it."
        return
    matching = [pod for pod in pods if selector.items() <= _labels(pod).items()]
    if not matching:
        yield f"No pod of the namespace has the labels {selector_text(service)}."
    for pod in matching:
        why = why_not_ready(pod)
        name = pod["metadata"]["name"]
        if why:
            yield f"Pod {name} is not ready: {why}."
        elif name not in ready:
            yield f"Pod {name} is ready, but is no endpoint: {_why_left_out(service)}."


def _why_left_out(service: resources.Object) -> str:
    names = [port.get("targetPort") for port in service["spec"].get("ports") or ()]
    named = [name for name in names if isinstance(name, str)]
    if named:
        return f"has it a port called {' or '.join(named)}? Else the endpoints controller is behind"
    return "the endpoints controller has not seen it yet"


def _labels(pod: resources.Object) -> dict[str, str]:
    return dict(pod["metadata"].get("labels") or {})


def _container_reasons(status: resources.Object) -> Iterator[str]:
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        yield _told(state.get("waiting") or state.get("terminated") or {})


def _told(state: resources.Object) -> str:
    """`reason: message`, of a condition that does not hold or of a container that does not run."""
    if state.get("status") == "True":
        return ""
    return ": ".join(part for part in (state.get("reason"), state.get("message")) if part)
