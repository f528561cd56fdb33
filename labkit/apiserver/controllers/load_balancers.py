"""Services of type LoadBalancer: an address from a pool, and a node that answers for it.

In a cloud this is the provider's part. Here the machines share one network, as in a house or a
rack, and it is done as one does it there: the address belongs to no machine; one ready node answers
when the network asks who has it (ARP), so the packets come to that node, and the rules of its
kube-proxy catch them.

    status.loadBalancer.ingress      which address a Service has: there is no other book, so an
                                     address is free as soon as its Service is gone or has changed
    an annotation of a Node          the addresses for which the node answers: its podlet reads it

An address stays where it is while its node is ready. A Service with a `loadBalancerClass` is
somebody else's.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from labkit.apiserver import watching
from labkit.apiserver.controllers import controller, recorder
from labkit.apiserver.kinds import nodes, services
from labkit.model import kubelet, resources
from labkit.model.pool import Pool

COMPONENT = "service-controller"
#: A node with this label answers for no address: kubeadm gives it to control planes.
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
#: The key that stands for the question which node answers for which address.
_WHERE = ("", "")

# --- deciding ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grant:
    """The address that a Service gets; where that is empty, why it gets none."""

    address: str = ""
    why: str = ""


def is_ours(service: resources.Object) -> bool:
    spec = service["spec"]
    ending = service["metadata"].get("deletionTimestamp")
    return spec["type"] == "LoadBalancer" and not spec.get("loadBalancerClass") and not ending


def address_of(service: resources.Object) -> str:
    """The address that a Service has; empty when it has none."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return next((str(each.get("ip", "")) for each in ingress), "")


def plan_address(service: resources.Object, taken: Mapping[str, str], pool: Pool) -> Grant:
    """Choose the address that it asks for, else the one that it has, else the first that is free.

    `taken` has the addresses of all other Services, with their names.
    """
    asked, held = service["spec"].get("loadBalancerIP", ""), address_of(service)
    if asked:
        if not _is_in(asked, pool):
            return Grant(why=f"{asked} is not among the addresses {pool}")
        if asked in taken:
            return Grant(why=f"{asked} is the address of {taken[asked]}")
        return Grant(asked)
    if held and held not in taken and _is_in(held, pool):
        return Grant(held)
    free = next((str(address) for address in pool if str(address) not in taken), "")
    return Grant(free, "" if free else f"no address is free among {pool}")


def _is_in(text: str, pool: Pool) -> bool:
    """False, too, for what is no IPv4 address: the pool has no other."""
    try:
        return IPv4Address(text) in pool
    except ValueError:
        return False


def plan_announcers(
    addresses: Iterable[str], cluster: Sequence[resources.Object]
) -> dict[str, tuple[str, ...]]:
    """Which node answers for which addresses: every node of the cluster by name.

    An address moves only when its node cannot answer any more; it goes to the node that has the
    fewest.
    """
    able = {node["metadata"]["name"]: node for node in cluster if _can_announce(node)}
    wanted = sorted(set(addresses), key=IPv4Address)
    planned: dict[str, list[str]] = {node["metadata"]["name"]: [] for node in cluster}
    for name, node in able.items():
        others = {each for known in planned.values() for each in known}
        held = set(announced_by(node)) - others
        planned[name] = [address for address in wanted if address in held]
    for address in wanted:
        if able and not any(address in known for known in planned.values()):
            planned[min(able, key=lambda name: (len(planned[name]), name))].append(address)
    return {name: tuple(known) for name, known in planned.items()}


def announced_by(node: resources.Object) -> tuple[str, ...]:
    return kubelet.parse_announced(node["metadata"].get("annotations"))


def _can_announce(node: resources.Object) -> bool:
    excluded = EXCLUDED in (node["metadata"].get("labels") or {})
    return nodes.is_ready(node) and not excluded


# --- acting --------------------------------------------------------------------------------------


class Controller(controller.Controller):
    """Gives addresses out, takes them back, and says who answers for them."""

    def __init__(self, objects: controller.Cluster, pool: Pool) -> None:
        super().__init__(objects)
        self._pool = pool
        self._events = recorder.Recorder(objects, COMPONENT)
        self._store.observe(resources.SERVICES, self._on_service)
        self._store.observe(resources.NODES, self._on_node)
        self._follow(resources.SERVICES)
        self._keys.add(_WHERE)

    def _on_service(self, change: watching.Change) -> None:
        """An address that is free again may be what others wait for."""
        before = address_of(change.before.object) if change.before else ""
        gone = change.type == "DELETED"
        if before == ("" if gone else address_of(change.after.object)):
            return
        self._keys.add(_WHERE)
        if before:
            for stored in self._ours():
                if not address_of(stored.object):
                    self._keys.add((stored.namespace, stored.name))

    def _on_node(self, change: watching.Change) -> None:
        states = [stored.object if stored else None for stored in (change.before, change.after)]
        if change.type == "DELETED":
            states[1] = None
        before, after = (node and (_can_announce(node), announced_by(node)) for node in states)
        if before != after:
            self._keys.add(_WHERE)

    def _ours(self) -> Iterator[watching.Stored]:
        return (each for each in self._store.list(resources.SERVICES) if is_ours(each.object))

    def _sync(self, namespace: str, name: str) -> None:
        if (namespace, name) == _WHERE:
            self._announce()
            return
        found = self._store.get(resources.SERVICES, namespace, name)
        if found is None:
            return
        if is_ours(found.object):
            self._grant(found)
        elif found.object["spec"]["type"] != "LoadBalancer" and address_of(found.object):
            self._write(found, "")

    def _grant(self, service: watching.Stored) -> None:
        obj = service.object
        taken = {
            address: f"{other.namespace}/{other.name}"
            for other in self._ours()
            if other is not service and (address := address_of(other.object))
        }
        grant = plan_address(obj, taken, self._pool)
        if grant.why:
            about = f"Error syncing load balancer: failed to ensure load balancer: {grant.why}"
            self._events.record(obj, "SyncLoadBalancerFailed", about, warning=True)
        if grant.address != address_of(obj):
            if grant.address:
                self._events.record(obj, "EnsuringLoadBalancer", "Ensuring load balancer")
            self._write(service, grant.address)
            if grant.address:
                self._events.record(obj, "EnsuredLoadBalancer", "Ensured load balancer")

    def _write(self, service: watching.Stored, address: str) -> None:
        ingress = {"ingress": [{"ip": address, "ipMode": "VIP"}]} if address else {}

        def give(old: resources.Object) -> resources.Object:
            return {**old, "status": {**old.get("status", {}), "loadBalancer": ingress}}

        where = (service.namespace, service.name)
        self._objects.update(services.KIND, *where, give, subresource="status")

    # --- who answers -----------------------------------------------------------------------------

    def _announce(self) -> None:
        owners = {address_of(each.object): each.object for each in self._ours()}
        owners.pop("", None)
        cluster = [stored.object for stored in self._store.list(resources.NODES)]
        planned = plan_announcers(owners, cluster)
        # Who lets go hears of it first.
        for node in sorted(cluster, key=lambda node: not _lost(node, planned)):
            name = node["metadata"]["name"]
            before, after = announced_by(node), planned[name]
            if before != after:
                annotate = functools.partial(_annotate, after)
                self._objects.update(nodes.KIND, "", name, annotate)
            for address in set(after) - set(before):
                about = f'announcing from node "{name}" with protocol "layer2"'
                self._events.record(owners[address], "nodeAssigned", about)


def _lost(node: resources.Object, planned: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The addresses for which a node is not to answer any more."""
    return set(announced_by(node)) - set(planned[node["metadata"]["name"]])


def _annotate(addresses: Sequence[str], node: resources.Object) -> resources.Object:
    meta = node["metadata"]
    notes = {**(meta.get("annotations") or {}), kubelet.ANNOUNCED: ",".join(addresses)}
    if not addresses:
        del notes[kubelet.ANNOUNCED]
    return {**node, "metadata": {**meta, "annotations": notes}}
