"""Tables: the form in which `kubectl get` asks for objects.

The server, not kubectl, decides which columns a kind has and what stands in them; that is why
kubectl can print kinds that it has never heard of. Columns of priority 1 appear with `-o wide`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.apiserver import timestamps, watching
from labkit.model import resources

API_VERSION = "meta.k8s.io/v1"

Cell = str | int
Row = Callable[[resources.Object, float], list[Cell]]


#: What a column tells, by its title: a title means the same for every kind that has it.
DESCRIPTIONS: Mapping[str, str] = {
    "AddressType": "Which family the addresses of the endpoints belong to.",
    "Age": "How long ago the object was created.",
    "Available": "Pods that have been ready for at least minReadySeconds.",
    "Cluster-IP": "The address inside the cluster; None for a headless Service.",
    "Container-Runtime": "What runs the containers on the node, with its version.",
    "Containers": "The names of the containers in the pod template.",
    "Count": "How many times it has happened.",
    "Current": "Pods that there are.",
    "Data": "How many keys there are.",
    "Desired": "Pods that there should be.",
    "Endpoints": "Addresses and ports behind the Service.",
    "External-IP": "Addresses at which it is reached from outside the cluster.",
    "First Seen": "How long ago it happened first.",
    "Holder": "Who holds the lease now.",
    "IP": "The pod's own address.",
    "Images": "The images of the containers in the pod template.",
    "Internal-IP": "The node's address inside the cluster.",
    "Kernel-Version": "The kernel that the node runs.",
    "Last Seen": "How long ago it happened last.",
    "Message": "What happened, for people to read.",
    "Name": "The object's name: no other of its kind in the namespace has it.",
    "Node": "The node that the pod was placed on.",
    "Nominated Node": "The node that is being cleared for the pod.",
    "OS-Image": "The operating system that the node reports.",
    "Object": "What the event is about, as kind/name.",
    "Port(s)": "port, or port:nodePort, and the protocol.",
    "Ports": "The ports that the endpoints listen on.",
    "Readiness Gates": "How many further conditions of readiness hold, of how many.",
    "Ready": "How many are ready, of how many there should be.",
    "Reason": "What happened, in one word for programs.",
    "Restarts": "How often containers have been started again, and when last.",
    "Roles": "What the node is for, from its node-role labels.",
    "Secrets": "How many Secrets the account lists.",
    "Selector": "The labels by which pods are chosen.",
    "Source": "Which program reports it, and from where.",
    "Status": "The state that it is in, in one word.",
    "Subobject": "The part of the object that the event is about.",
    "Type": "Which sort it is, of those that the kind has.",
    "Up-to-date": "Pods that are made from the present template.",
    "Version": "The version of the node's kubelet.",
}


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str = "string"
    priority: int = 0

    @property
    def definition(self) -> resources.Object:
        is_name = self.name == "Name"
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if is_name else "",
            "description": DESCRIPTIONS[self.name],
            "priority": self.priority,
        }


def name_of(obj: resources.Object) -> str:
    return str(obj["metadata"]["name"])


def age_of(obj: resources.Object, now: float) -> str:
    created = obj["metadata"].get("creationTimestamp")
    return since(created, now)


def since(moment: str | None, now: float) -> str:
    """How long ago a timestamp was; `<unknown>` without one."""
    return timestamps.render_age(now - timestamps.parse(moment)) if moment else "<unknown>"


NAME_AND_AGE = (Column("Name"), Column("Age"))


def name_and_age(obj: resources.Object, now: float) -> list[Cell]:
    return [name_of(obj), age_of(obj, now)]


def render_table(
    columns: Sequence[Column],
    row: Row,
    objects: Iterable[watching.Stored],
    *,
    include: str,
    meta: resources.Object,
    headers: bool = True,
) -> bytes:
    """A Table. `include` says how much of each object goes with its row: None, Metadata, Object."""
    now = time.time()
    rows = [
        {"cells": row(stored.object, now), **_included(stored.object, include)}
        for stored in objects
    ]
    table = {
        "kind": "Table",
        "apiVersion": API_VERSION,
        "metadata": meta,
        "columnDefinitions": [column.definition for column in columns] if headers else None,
        "rows": rows,
    }
    return json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()


def _included(obj: resources.Object, include: str) -> dict[str, Any]:
    if include == "None":
        return {}
    return {"object": obj if include == "Object" else partial(obj)}


def partial(obj: resources.Object) -> resources.Object:
    """An object's metadata alone."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": API_VERSION,
        "metadata": obj["metadata"],
    }
