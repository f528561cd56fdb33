"""The endpoints controller: which pods are behind a Service, and at which port.

A Service's selector chooses pods by their labels; each that has an address becomes an endpoint,
ready or not. Its `targetPort` is resolved here, once: a number is taken as it is, a name is looked
up among the pod's container ports, so that two pods may serve one name at different numbers.
kube-proxy never sees a targetPort: it reads the result.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labkit import errors
from labkit.apiserver import registry
from labkit.apiserver.controllers import controller, members, triggers
from labkit.apiserver.kinds import endpoints, pods, service_rules
from labkit.model import resources

HEADLESS_LABEL = "service.kubernetes.io/headless"
#: So many addresses one object may have: everybody who watches gets all of them at each change.
MAX_ADDRESSES = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"

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
) -> resources.Object | None:
    """The Endpoints that a Service should have. None: they are not this controller's business."""
    spec, meta = service["spec"], service["metadata"]
    selector = spec.get("selector")
    if not selector or spec["type"] == "ExternalName":
        return None
    chosen = (_plan_member(service, pod) for pod in members.choose(selector, candidates))
    found = [member for member in chosen if member]
    labels = dict(meta.get("labels") or {})
    if service_rules.is_headless(spec):
        labels[HEADLESS_LABEL] = ""
    planned: resources.Object = {
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "subsets": _group(_truncate(found)),
    }
    if len(found) > MAX_ADDRESSES:
        planned["metadata"]["annotations"] = {OVER_CAPACITY: "truncated"}
    if labels:
        planned["metadata"]["labels"] = labels
    return planned


def _truncate(found: Sequence[Member]) -> Sequence[Member]:
    """Those that are ready before all others. Slices have room for the rest."""
    ordered = sorted(found, key=lambda member: (not member.ready, member.address["ip"]))
    return ordered[:MAX_ADDRESSES]


def _plan_member(service: resources.Object, pod: resources.Object) -> Member | None:
    """None for a pod that has no address, has ended, is ending, or has none of the ports."""
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    ending = pod["metadata"].get("deletionTimestamp") and not published
    if not pod.get("status", {}).get("podIP") or pods.is_finished(pod) or ending:
        return None
    wanted = service["spec"].get("ports") or []
    ports = tuple(members.plan_ports(wanted, pod))
    if wanted and not ports:
        return None
    ready = published or members.is_serving(pod)
    return Member(_plan_address(service, pod), ports, ready)


def _plan_address(service: resources.Object, pod: resources.Object) -> resources.Object:
    spec = pod["spec"]
    address: resources.Object = {"ip": pod["status"]["podIP"]}
    if spec.get("nodeName"):
        address["nodeName"] = spec["nodeName"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        address["hostname"] = spec["hostname"]
    address["targetRef"] = members.refer_to(pod)
    return address


def _group(everyone: Iterable[Member]) -> list[resources.Object]:
    """Members with the same ports share a subset. Sorted, so that equal plans are equal."""
    groups: dict[str, list[Member]] = defaultdict(list)
    for member in everyone:
        groups[json.dumps(member.ports, sort_keys=True)].append(member)
    return [_render_subset(groups[key]) for key in sorted(groups)]


def _render_subset(group: Sequence[Member]) -> resources.Object:
    ordered = sorted(
        group, key=lambda member: (member.address["ip"], member.address["targetRef"]["uid"])
    )
    subset: resources.Object = {
        "addresses": [member.address for member in ordered if member.ready],
        "notReadyAddresses": [member.address for member in ordered if not member.ready],
        "ports": list(group[0].ports),
    }
    return {field: value for field, value in subset.items() if value}


# --- acting --------------------------------------------------------------------------------------


class Controller(controller.Controller):
    """Keeps every Service's Endpoints as planned."""

    def __init__(self, objects: controller.Cluster) -> None:
        super().__init__(objects, members.ServiceKeys(objects.store))
        self._triggers = triggers.Triggers()

    def _sync(self, namespace: str, name: str) -> None:
        service = self._store.get(resources.SERVICES, namespace, name)
        current = self._store.get(resources.ENDPOINTS, namespace, name)
        if service is None:
            self._triggers.forget((namespace, name))
            if current:
                self._objects.delete(endpoints.KIND, namespace, name, registry.DeleteOptions())
            return
        found = [stored.object for stored in self._store.list(resources.PODS, namespace)]
        planned = plan_endpoints(service.object, found)
        if planned is None:
            return
        chosen = members.choose(service.object["spec"]["selector"], found)
        moment = self._triggers.first((namespace, name), service.object, chosen)
        if current is None:
            self._create(namespace, triggers.note(planned, moment))
        else:
            self._objects.update(
                endpoints.KIND, namespace, name, lambda old: _apply_plan(old, planned, moment)
            )

    def _create(self, namespace: str, planned: resources.Object) -> None:
        try:
            self._objects.create(endpoints.KIND, namespace, planned)
        except errors.ApiError:
            # The namespace is being emptied, and the Service with it.
            return


def _apply_plan(
    old: resources.Object, planned: resources.Object, moment: str | None
) -> resources.Object:
    """The stored Endpoints with the planned labels and subsets; others' annotations stay."""
    meta = {k: v for k, v in old["metadata"].items() if k not in ("labels", "annotations")}
    meta |= {k: v for k, v in planned["metadata"].items() if k == "labels"}
    notes = {**(old["metadata"].get("annotations") or {})}
    notes.pop(OVER_CAPACITY, None)
    if notes := {**notes, **planned["metadata"].get("annotations", {})}:
        meta["annotations"] = notes
    new = {**old, "metadata": meta, "subsets": planned["subsets"]}
    # A time alone is no news.
    return triggers.note(new, moment) if new != old else old
