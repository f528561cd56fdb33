"""Who is behind a Service: what the controllers of Endpoints and of EndpointSlices share.

Both follow the same things. A Service's endpoints may change with the Service itself, and with a
pod that it chose or chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from labkit.apiserver import conditions, selectors, watching
from labkit.apiserver.controllers import controller, keys
from labkit.model import resources

# --- deciding ------------------------------------------------------------------------------------


def choose(
    selector: Mapping[str, str], candidates: Iterable[resources.Object]
) -> Iterator[resources.Object]:
    """The pods that have all the labels of a Service's selector."""
    for pod in candidates:
        if selectors.equal_labels(selector, pod["metadata"].get("labels")):
            yield pod


def is_serving(pod: resources.Object) -> bool:
    """Ready, as far as anybody can know: who finds a node lost says it of its pods."""
    return conditions.find_condition(pod, "Ready").get("status") == "True"


def refer_to(pod: resources.Object) -> resources.Object:
    """A `targetRef`: which pod an address is."""
    meta = pod["metadata"]
    names = {field: meta[field] for field in ("name", "namespace", "uid")}
    return {"kind": "Pod", **names}


def plan_ports(
    wanted: Iterable[resources.Object], pod: resources.Object
) -> Iterator[resources.Object]:
    """The Service's ports that this pod has, with targetPort resolved to a number."""
    for port in wanted:
        number = resolve_port(port, pod)
        if number is None:
            continue
        found = {"port": number, "protocol": port["protocol"]}
        for field in ("name", "appProtocol"):
            if port.get(field):
                found[field] = port[field]
        yield found


def resolve_port(port: resources.Object, pod: resources.Object) -> int | None:
    """The number of a Service port's targetPort in one pod; None: it has no port of that name."""
    target = port["targetPort"]
    if isinstance(target, int):
        return target
    for container in pod["spec"].get("containers") or []:
        for candidate in container.get("ports") or []:
            same = (candidate.get("name"), candidate.get("protocol", "TCP"))
            if same == (target, port["protocol"]):
                return int(candidate["containerPort"])
    return None


# --- following -----------------------------------------------------------------------------------


class ServiceKeys(keys.Keys):
    """The Services whose endpoints somebody has to look at; at the start, all."""

    def __init__(self, objects: controller.Objects) -> None:
        super().__init__()
        self._store = objects
        objects.observe(resources.SERVICES, self._on_service)
        objects.observe(resources.PODS, self._on_pod)
        self.update(self._all())

    def _all(self) -> Iterator[keys.Key]:
        for stored in self._store.list(resources.SERVICES):
            yield stored.namespace, stored.name

    def _on_service(self, change: watching.Change) -> None:
        self.add((change.after.namespace, change.after.name))

    def _on_pod(self, change: watching.Change) -> None:
        """The Services that chose the pod before, or choose it now."""
        states = [stored.object for stored in (change.before, change.after) if stored]
        for stored in self._store.list(resources.SERVICES, change.after.namespace):
            selector = stored.object["spec"].get("selector") or {}
            if selector and any(choose(selector, states)):
                self.add((stored.namespace, stored.name))
