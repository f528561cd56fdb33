"""Services, endpoints, pods and nodes: what the API server says of them, as events. Pure.

A watch says that an object changed, and gives all of it. What a person wants to know is what is
different, so each object is told in one line, and it has changed when its line has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from labkit.client import watch
from labkit.inspection.events import event
from labkit.model import proxying, resources

Say = Callable[[resources.Object], str]


@dataclass(frozen=True, slots=True)
class Told:
    """A kind of object that is watched, and what one line says of it."""

    kind: event.Kind
    resource: resources.Resource
    say: Say


@dataclass(slots=True)
class Memory:
    """What was last said of each object of one kind."""

    told: Told
    _lines: dict[str, str] = field(default_factory=dict)
    _begun: bool = False

    def take(self, change: watch.Change, now: float) -> Iterator[event.Event]:
        """What is different now. The first list is where it all begins: nothing happened yet.

        After a gap a list comes again: then all happened that makes the two lists differ.
        """
        if isinstance(change, watch.Synced):
            there = {resources.name_of(one): one for one in change.objects}
            before, self._begun = self._begun, True
            found = [
                *self._gone(there, now),
                *(e for one in there.values() for e in self._now(one, now)),
            ]
            yield from found if before else ()
        elif change.type == "DELETED":
            yield from self._forget(resources.name_of(change.object), now)
        elif change.type != "BOOKMARK":
            yield from self._now(change.object, now)

    def _gone(self, there: dict[str, resources.Object], now: float) -> Iterator[event.Event]:
        for name in [name for name in self._lines if name not in there]:
            yield from self._forget(name, now)

    def _forget(self, name: str, now: float) -> Iterator[event.Event]:
        if (line := self._lines.pop(name, None)) is not None:
            yield self._event("removed", name, f"was {line}", now)

    def _now(self, one: resources.Object, now: float) -> Iterator[event.Event]:
        name, line = resources.name_of(one), self.told.say(one)
        before = self._lines.get(name)
        self._lines[name] = line
        if before is None:
            yield self._event("added", name, line, now)
        elif line != before:
            yield self._event("changed", name, f"{line}; was {before}", now)

    def _event(self, verb: event.Verb, name: str, text: str, now: float) -> event.Event:
        return event.Event(now, event.API_SERVER, self.told.kind, verb, name, text)


# --- what one line says --------------------------------------------------------------------------


def say_service(service: resources.Object) -> str:
    """Each port as `port:nodePort -> targetPort`, as far as it has them.

    >>> port = {"port": 8080, "targetPort": 80, "nodePort": 30062, "protocol": "TCP"}
    >>> spec = {"clusterIP": "10.96.0.7", "selector": {"name": "app1"}, "ports": [port]}
    >>> say_service({"spec": spec})
    '10.96.0.7 TCP 8080:30062 -> 80, selector name=app1'
    """
    spec = service["spec"]
    ports = ", ".join(map(_say_port, spec.get("ports") or ()))
    labels = ",".join(f"{key}={value}" for key, value in (spec.get("selector") or {}).items())
    affinity = spec.get("sessionAffinity", "None")
    parts = [
        f"{spec.get('clusterIP') or 'no clusterIP'} {ports}".rstrip(),
        f"selector {labels}" if labels else "no selector",
        f"sessionAffinity {affinity}" if affinity != "None" else "",
    ]
    return ", ".join(part for part in parts if part)


def _say_port(port: resources.Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    target = port.get("targetPort", port["port"])
    return f"{port.get('protocol', 'TCP')} {port['port']}{node_port} -> {target}"


def say_endpoints(endpoints: resources.Object) -> str:
    ready = [str(end) for ends in proxying.parse_endpoints(endpoints).values() for end in ends]
    waiting = [
        address["ip"]
        for subset in endpoints.get("subsets") or ()
        for address in subset.get("notReadyAddresses") or ()
    ]
    said = ", ".join(ready) or "nobody"
    return f"{said}; not ready: {', '.join(waiting)}" if waiting else said


def say_pod(pod: resources.Object) -> str:
    status = pod.get("status") or {}
    leaving = "terminating, " if pod["metadata"].get("deletionTimestamp") else ""
    place = pod["spec"].get("nodeName")
    where = f" on {place}" if place else ""
    address = f" at {status['podIP']}" if status.get("podIP") else ""
    return f"{leaving}{status.get('phase', 'Pending')}, {_say_ready(pod)}{where}{address}"


def say_node(node: resources.Object) -> str:
    kept = ", no pods are placed there" if node["spec"].get("unschedulable") else ""
    return f"{_say_ready(node)}{kept}"


def _say_ready(one: resources.Object) -> str:
    for condition in (one.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Ready":
            return "ready" if condition["status"] == "True" else "not ready"
    return "not ready"


WATCHED = (
    Told("service", resources.SERVICES, say_service),
    Told("endpoints", resources.ENDPOINTS, say_endpoints),
    Told("pod", resources.PODS, say_pod),
    Told("node", resources.NODES, say_node),
)
