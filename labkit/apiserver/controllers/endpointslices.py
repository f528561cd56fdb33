"""The endpointslice controller: the pods behind a Service, in slices of at most a hundred.

Endpoints name the pods that may get traffic now. A slice says more of each: `ready`, `serving`
(ready, were it not ending) and `terminating`; so a proxy may send its last resort to a pod that is
about to go. Pods whose ports differ stand in different slices, since a slice has one list of ports.

A Service without a selector has Endpoints that a person wrote: they are mirrored, so that a proxy
that reads slices only sees them too.
"""

from __future__ import annotations

import copy
import functools
import json
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from labkit import errors
from labkit.apiserver import metadata, registry, status, watching
from labkit.apiserver.controllers import controller, members, triggers
from labkit.apiserver.kinds import endpointslices as slices
from labkit.apiserver.kinds import pods, service_rules
from labkit.model import resources

#: As the real controller's default (`--max-endpoints-per-slice`).
MAX_ENDPOINTS = 100
COMPONENT = "endpointslice-controller.k8s.io"
MIRRORING = "endpointslicemirroring-controller.k8s.io"
_ZONE = "topology.kubernetes.io/zone"
_HEADLESS = "service.kubernetes.io/headless"

# --- deciding: the endpoints ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints with the same ports."""

    ports: tuple[resources.Object, ...] = ()
    endpoints: tuple[resources.Object, ...] = ()


def plan_groups(
    service: resources.Object,
    candidates: Iterable[resources.Object],
    zones: Mapping[str, str] = types.MappingProxyType({}),
) -> tuple[Group, ...]:
    """The endpoints of a Service with a selector. Always one group at least.

    `zones` says in which part of the world a node stands, where that is known.
    """
    wanted = service["spec"].get("ports") or []
    found: list[Group] = []
    for pod in members.choose(service["spec"]["selector"], candidates):
        if pod.get("status", {}).get("podIP") and not pods.is_finished(pod):
            ports = tuple({"name": "", **port} for port in members.plan_ports(wanted, pod))
            found.append(Group(ports, (_plan_endpoint(service, pod, zones),)))
    return _merge(found)


def _plan_endpoint(
    service: resources.Object, pod: resources.Object, zones: Mapping[str, str]
) -> resources.Object:
    spec = pod["spec"]
    serving = members.is_serving(pod)
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    endpoint: resources.Object = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": published or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": members.refer_to(pod),
    }
    if spec.get("nodeName"):
        endpoint["nodeName"] = spec["nodeName"]
    if zone := zones.get(spec.get("nodeName", "")):
        endpoint["zone"] = zone
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def zone_of(node: resources.Object) -> str:
    return str((node["metadata"].get("labels") or {}).get(_ZONE, ""))


def mirror_groups(endpoints: resources.Object) -> tuple[Group, ...]:
    """The same from Endpoints that a person wrote."""
    return _merge(
        Group(
            tuple({"name": "", **port} for port in subset.get("ports") or []),
            (*_mirror(subset, "addresses"), *_mirror(subset, "notReadyAddresses")),
        )
        for subset in endpoints.get("subsets") or []
    )


def _mirror(subset: resources.Object, field: str) -> Iterator[resources.Object]:
    for address in subset.get(field) or []:
        kept = {k: v for k, v in address.items() if k in ("hostname", "nodeName", "targetRef")}
        ready = field == "addresses"
        yield {"addresses": [address["ip"]], "conditions": {"ready": ready}, **kept}


def _merge(parts: Iterable[Group]) -> tuple[Group, ...]:
    """One group for each list of ports. A Service without endpoints has one empty group."""
    merged: dict[str, Group] = {}
    for part in parts:
        key = _key(part.ports)
        held = merged.get(key, Group(part.ports))
        merged[key] = Group(part.ports, held.endpoints + part.endpoints)
    return tuple(merged[key] for key in sorted(merged)) or (Group(),)


def _key(value: object) -> str:
    return json.dumps(value, sort_keys=True)


# --- deciding: the slices ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be written. `update` has slices that exist, changed."""

    create: tuple[resources.Object, ...] = ()
    update: tuple[resources.Object, ...] = ()
    delete: tuple[resources.Object, ...] = ()

    def triggered(self, moment: str | None) -> Plan:
        """The same, with the time of the change that it answers."""
        create, update = (
            tuple(triggers.note(obj, moment) for obj in objs) for objs in (self.create, self.update)
        )
        return Plan(create, update, self.delete)


def plan_slices(
    template: resources.Object, groups: Sequence[Group], existing: Sequence[resources.Object]
) -> Plan:
    """Put the groups into slices like `template`, with as few writes as possible.

    An endpoint stays in the slice in which it is: then one that changes is one write, and a proxy
    reads one slice.
    """
    by_ports = {_key(list(group.ports)): group for group in groups}
    held: dict[str, list[resources.Object]] = {key: [] for key in by_ports}
    stray = []
    for found in existing:
        same = held.get(_key(found.get("ports") or []))
        stray.append(found) if same is None else same.append(found)
    create, changed = [], []
    for key, group in by_ports.items():
        filled, new = _fill(group, held[key])
        # A Service without endpoints keeps an empty slice, which says that there are none.
        spare = [kept for kept in filled if not kept["endpoints"]][not group.endpoints :]
        stray += spare
        changed += [kept for kept in filled if kept not in spare]
        create += [{**template, "endpoints": part, "ports": list(group.ports)} for part in new]
    before = {found["metadata"]["name"]: found for found in existing}
    labelled = [_label(found, template) for found in changed]
    update = [found for found in labelled if found != before[found["metadata"]["name"]]]
    return Plan(tuple(create), tuple(update), tuple(stray))


def _fill(
    group: Group, existing: Sequence[resources.Object]
) -> tuple[list[resources.Object], list[list[resources.Object]]]:
    """The slices that exist with what belongs into them, and what new ones have to hold."""
    waiting = {_identity(endpoint): endpoint for endpoint in group.endpoints}
    kept = [
        [waiting.pop(who) for old in found["endpoints"] if (who := _identity(old)) in waiting]
        for found in existing
    ]
    rest = list(waiting.values())
    for part in kept:
        room = max(MAX_ENDPOINTS - len(part), 0)
        part += rest[:room]
        rest = rest[room:]
    filled = [{**found, "endpoints": part} for found, part in zip(existing, kept, strict=True)]
    new = [rest[at : at + MAX_ENDPOINTS] for at in range(0, len(rest), MAX_ENDPOINTS)]
    return filled, new if filled or new else [[]]


def _identity(endpoint: resources.Object) -> str:
    return str(endpoint.get("targetRef", {}).get("uid") or endpoint["addresses"][0])


def _label(found: resources.Object, template: resources.Object) -> resources.Object:
    meta = {**found["metadata"], "labels": template["metadata"]["labels"]}
    return {**found, "metadata": meta}


def make_template(
    service: resources.Object, owner: resources.Object, controller: str
) -> resources.Object:
    """A slice without endpoints: who it belongs to, and who writes it."""
    meta = service["metadata"]
    labels = {**(owner["metadata"].get("labels") or {})}
    if service_rules.is_headless(service["spec"]):
        labels[_HEADLESS] = ""
    return {
        "metadata": {
            "generateName": f"{meta['name']}-",
            "labels": {**labels, slices.SERVICE_NAME: meta["name"], slices.MANAGED_BY: controller},
            "ownerReferences": [metadata.refer_to_owner(owner)],
        },
        "addressType": "IPv4",
    }


# --- acting --------------------------------------------------------------------------------------


class Controller(controller.Controller):
    """Keeps every Service's slices as planned, and puts right what others do to them."""

    def __init__(self, objects: controller.Cluster) -> None:
        super().__init__(objects, members.ServiceKeys(objects.store))
        #: True while this controller writes: its own writes are no news to it.
        self._writing = False
        self._triggers = triggers.Triggers()
        self._store.observe(resources.ENDPOINTS, self._on_endpoints)
        self._store.observe(resources.ENDPOINT_SLICES, self._on_slice)
        self._store.observe(resources.NODES, self._on_node)

    def _on_endpoints(self, change: watching.Change) -> None:
        """Those of a Service with a selector follow its pods, as the slices do."""
        service = self._store.get(resources.SERVICES, change.after.namespace, change.after.name)
        if service and not service.object["spec"].get("selector"):
            self._keys.add((change.after.namespace, change.after.name))

    def _on_slice(self, change: watching.Change) -> None:
        name = _service_of(change.after.object)
        if name and not self._writing:
            self._keys.add((change.after.namespace, name))

    def _on_node(self, change: watching.Change) -> None:
        before = zone_of(change.before.object) if change.before else ""
        if before != zone_of(change.after.object):
            for stored in self._store.list(resources.SERVICES):
                self._keys.add((stored.namespace, stored.name))

    def _zones(self) -> dict[str, str]:
        nodes = self._store.list(resources.NODES)
        return {stored.name: zone for stored in nodes if (zone := zone_of(stored.object))}

    def _sync(self, namespace: str, name: str) -> None:
        existing = [
            stored.object
            for stored in self._store.list(resources.ENDPOINT_SLICES, namespace)
            if _service_of(stored.object) == name
        ]
        self._writing = True
        try:
            self._apply(namespace, self._plan(namespace, name, existing))
        except errors.ApiError as error:
            # The namespace is being emptied, and the Service with it.
            if error.status != status.FORBIDDEN:
                raise
        finally:
            self._writing = False

    def _plan(self, namespace: str, name: str, existing: list[resources.Object]) -> Plan:
        service = self._store.get(resources.SERVICES, namespace, name)
        if service is None or service.object["spec"]["type"] == "ExternalName":
            self._triggers.forget((namespace, name))
            return Plan(delete=tuple(existing))
        obj = service.object
        if obj["spec"].get("selector"):
            found = [stored.object for stored in self._store.list(resources.PODS, namespace)]
            groups = plan_groups(obj, found, self._zones())
            plan = plan_slices(make_template(obj, obj, COMPONENT), groups, existing)
            chosen = members.choose(obj["spec"]["selector"], found)
            return plan.triggered(self._triggers.first((namespace, name), obj, chosen))
        written = self._store.get(resources.ENDPOINTS, namespace, name)
        labels = written.object["metadata"].get("labels", {}) if written else {}
        if written is None or labels.get(slices.SKIP_MIRROR) == "true":
            return Plan(delete=tuple(existing))
        template = make_template(obj, written.object, MIRRORING)
        return plan_slices(template, mirror_groups(written.object), existing)

    def _apply(self, namespace: str, plan: Plan) -> None:
        for obj in plan.delete:
            name = obj["metadata"]["name"]
            self._objects.delete(slices.KIND, namespace, name, registry.DeleteOptions())
        for obj in plan.update:
            copied = copy.deepcopy(obj)
            name = obj["metadata"]["name"]
            self._objects.update(slices.KIND, namespace, name, functools.partial(_give, copied))
        for obj in plan.create:
            self._objects.create(slices.KIND, namespace, copy.deepcopy(obj))


def _give(new: resources.Object, _: resources.Object) -> resources.Object:
    return new


def _service_of(obj: resources.Object) -> str:
    """The Service of a slice that one of the two controllers made; empty for all others."""
    labels = obj["metadata"].get("labels") or {}
    ours = labels.get(slices.MANAGED_BY) in (COMPONENT, MIRRORING)
    return str(labels.get(slices.SERVICE_NAME, "")) if ours else ""
