"""The endpoints controller: which pods are behind a Service, and at which port.

A Service's selector chooses pods by their labels; each that has an address becomes an endpoint,
ready or not. Its `targetPort` is resolved here, once: a number is taken as it is, a name is looked
up among the pod's container ports, so that two pods may serve one name at different numbers.
kube-proxy never sees a targetPort: it reads the result.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from labkit import errors
from labkit.apiserver import conditions, registry, selectors, watching
from labkit.apiserver.controllers import keys
from labkit.apiserver.kinds import endpoints, nodes, pods, service_rules
from labkit.model import resources

HEADLESS_LABEL = "service.kubernetes.io/headless"

# --- deciding ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """One pod behind a Service: its address as Endpoints hold it, and where its ports are."""

    address: resources.Object
    ports: tuple[resources.Object, ...]
    ready: bool


def plan_endpoints(
    service: resources.Object,
    candidates: Iterable[resources.Object],
    dead_nodes: frozenset[str] = frozenset(),
) -> resources.Object | None:
    """The Endpoints that a Service should have. None: they are not this controller's business."""
    spec, meta = service["spec"], service["metadata"]
    selector = spec.get("selector")
    if not selector or spec["type"] == "ExternalName":
        return None
    chosen = (
        pod for pod in candidates if selectors.equal_labels(selector, pod["metadata"].get("labels"))
    )
    members = [
        member for pod in chosen for member in [_plan_member(service, pod, dead_nodes)] if member
    ]
    labels = dict(meta.get("labels") or {})
    if service_rules.is_headless(spec):
        labels[HEADLESS_LABEL] = ""
    planned: resources.Object = {
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "subsets": _group(members),
    }
    if labels:
        planned["metadata"]["labels"] = labels
    return planned


def _plan_member(
    service: resources.Object, pod: resources.Object, dead_nodes: frozenset[str]
) -> Member | None:
    """None for a pod that has no address, has ended, is ending, or has none of the ports."""
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    ending = pod["metadata"].get("deletionTimestamp") and not published
    if not pod.get("status", {}).get("podIP") or pods.is_finished(pod) or ending:
        return None
    wanted = service["spec"].get("ports") or []
    ports = tuple(_plan_ports(wanted, pod))
    if wanted and not ports:
        return None
    alive = pod["spec"].get("nodeName") not in dead_nodes
    ready = conditions.find_condition(pod, "Ready").get("status") == "True" and alive
    return Member(_plan_address(service, pod), ports, ready or published)


def _plan_address(service: resources.Object, pod: resources.Object) -> resources.Object:
    meta, spec = pod["metadata"], pod["spec"]
    address: resources.Object = {"ip": pod["status"]["podIP"]}
    if spec.get("nodeName"):
        address["nodeName"] = spec["nodeName"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        address["hostname"] = spec["hostname"]
    address["targetRef"] = {
        "kind": "Pod",
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta["uid"],
    }
    return address


def _plan_ports(
    wanted: Sequence[resources.Object], pod: resources.Object
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


def _group(members: Iterable[Member]) -> list[resources.Object]:
    """Members with the same ports share a subset. Sorted, so that equal plans are equal."""
    groups: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        groups[json.dumps(member.ports, sort_keys=True)].append(member)
    return [_render_subset(groups[key]) for key in sorted(groups)]


def _render_subset(members: Sequence[Member]) -> resources.Object:
    ordered = sorted(
        members, key=lambda member: (member.address["ip"], member.address["targetRef"]["uid"])
    )
    subset: resources.Object = {
        "addresses": [member.address for member in ordered if member.ready],
        "notReadyAddresses": [member.address for member in ordered if not member.ready],
        "ports": list(members[0].ports),
    }
    return {field: value for field, value in subset.items() if value}


# --- acting --------------------------------------------------------------------------------------


class Controller:
    """Keeps every Service's Endpoints as planned."""

    def __init__(self, objects: registry.Registry) -> None:
        self._objects = objects
        self._store = objects.store
        self._keys = keys.Keys()
        self._store.observe(resources.SERVICES, self._on_service)
        self._store.observe(resources.PODS, self._on_pod)
        self._store.observe(resources.NODES, self._on_node)
        self._keys.update(self._all_services())

    async def run(self) -> None:
        await self._keys.serve(self._sync)

    def _all_services(self, namespace: str = "") -> Iterator[keys.Key]:
        for stored in self._store.list(resources.SERVICES, namespace):
            yield stored.namespace, stored.name

    def _on_service(self, change: watching.Change) -> None:
        self._keys.add((change.after.namespace, change.after.name))

    def _on_pod(self, change: watching.Change) -> None:
        """The Services that chose the pod before, or choose it now."""
        states = [stored.object for stored in (change.before, change.after) if stored]
        for stored in self._store.list(resources.SERVICES, change.after.namespace):
            selector = stored.object["spec"].get("selector") or {}
            labels = (state["metadata"].get("labels") for state in states)
            if selector and any(selectors.equal_labels(selector, found) for found in labels):
                self._keys.add((stored.namespace, stored.name))

    def _on_node(self, change: watching.Change) -> None:
        """A node that died or came back takes its pods with it."""
        before = change.before is not None and nodes.is_ready(change.before.object)
        if before != (change.type != "DELETED" and nodes.is_ready(change.after.object)):
            self._keys.update(self._all_services())

    def _dead_nodes(self) -> frozenset[str]:
        return frozenset(
            stored.name
            for stored in self._store.list(resources.NODES)
            if not nodes.is_ready(stored.object)
        )

    def _sync(self, namespace: str, name: str) -> None:
        service = self._store.get(resources.SERVICES, namespace, name)
        current = self._store.get(resources.ENDPOINTS, namespace, name)
        if service is None:
            if current:
                self._objects.delete(endpoints.KIND, namespace, name, registry.DeleteOptions())
            return
        found = [stored.object for stored in self._store.list(resources.PODS, namespace)]
        planned = plan_endpoints(service.object, found, self._dead_nodes())
        if planned is None:
            return
        if current is None:
            self._create(namespace, planned)
        else:
            self._objects.update(
                endpoints.KIND, namespace, name, lambda old: _apply_plan(old, planned)
            )

    def _create(self, namespace: str, planned: resources.Object) -> None:
        try:
            self._objects.create(endpoints.KIND, namespace, planned)
        except errors.ApiError:
            # The namespace is being emptied, and the Service with it.
            return


def _apply_plan(old: resources.Object, planned: resources.Object) -> resources.Object:
    """The stored Endpoints with the planned labels and subsets; annotations stay."""
    meta = {k: v for k, v in old["metadata"].items() if k != "labels"}
    meta |= {k: v for k, v in planned["metadata"].items() if k == "labels"}
    return {**old, "metadata": meta, "subsets": planned["subsets"]}
