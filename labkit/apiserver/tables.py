"""Tables: the form in which `kubectl get` asks for objects.

The server, not kubectl, decides which columns a kind has and what stands in them; that is why
kubectl can print kinds that it has never heard of. Columns of priority 1 appear with `-o wide`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.apiserver import timestamps, watching
from labkit.model import resources

API_VERSION = "meta.k8s.io/v1"

Cell = str | int
Row = Callable[[resources.Object, float], list[Cell]]


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
            "description": "",
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
