"""What the lab's verbs return: values that show themselves and turn into JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labkit.display import document, shown
from labkit.model import resources, spec

if TYPE_CHECKING:
    from labkit.inspection import proof, service


@dataclass(frozen=True, slots=True, repr=False)
class NodeStatus(shown.Shown):
    """One machine. `units` maps each of its services to `running`, `stopped`, ..."""

    name: str
    role: spec.Role
    address: str
    state: str
    units: Mapping[str, str]

    @property
    def healthy(self) -> bool:
        return self.state == "running" and all(state == "running" for state in self.units.values())

    def row(self) -> tuple[document.Cell, ...]:
        tone = document.good if self.healthy else document.bad
        units = ", ".join(f"{name} {state}" for name, state in sorted(self.units.items()))
        return (self.name, self.role, self.address, tone(self.state), units or "none")

    def document(self) -> document.Section:
        return document.Section(f"Node {self.name}", (_node_table([self]),))

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "role": self.role,
            "address": self.address,
            "state": self.state,
            "units": dict(self.units),
        }


@dataclass(frozen=True, slots=True)
class ControlPlaneStatus:
    """An API server that is not the lab's own. `answers` is None when it was not asked."""

    server: str
    #: Its version, or why there is none to tell.
    said: str
    #: Who runs kube-controller-manager and kube-scheduler.
    components: Mapping[str, str] = field(default_factory=dict)
    answers: bool | None = None

    def document(self) -> document.Table:
        rows = [("kube-apiserver", f"{self.server} ({self.said})"), *self.components.items()]
        return document.Table(("control plane", "where"), rows)

    def to_json(self) -> dict[str, Any]:
        return {
            "server": self.server,
            "answers": self.answers,
            "said": self.said,
            "components": dict(self.components),
        }


@dataclass(frozen=True, slots=True, repr=False)
class LabStatus(shown.Shown):
    """The whole lab. `state` is `running`, `partly running` or `stopped`.

    A machine outside alone, which may be the learner's own machine, is no lab that runs.

    `control_plane` is None where the API server is the lab's own: then it is one of its services.
    """

    name: str
    provider: str
    nodes: tuple[NodeStatus, ...]
    control_plane: ControlPlaneStatus | None = None

    @property
    def state(self) -> str:
        lost = self.control_plane is not None and self.control_plane.answers is False
        if all(node.healthy for node in self.nodes) and not lost:
            return "running"
        cluster = [node for node in self.nodes if node.role != "outside"]
        return "partly running" if any(n.state == "running" for n in cluster) else "stopped"

    def document(self) -> document.Section:
        blocks: list[document.Block] = [_node_table(self.nodes)]
        if self.control_plane:
            blocks.append(self.control_plane.document())
        return document.Section(f"Lab {self.name} ({self.provider}): {self.state}", tuple(blocks))

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "labkit.dev/lab-status",
            "version": 1,
            "name": self.name,
            "provider": self.provider,
            "state": self.state,
            "nodes": [node.to_json() for node in self.nodes],
            "control_plane": self.control_plane.to_json() if self.control_plane else None,
        }


@dataclass(frozen=True, slots=True)
class LabSummary:
    """One line of `labkit ls`. `since` is when the lab was made, ISO 8601 in UTC."""

    name: str
    state: str
    nodes: int
    provider: str
    path: str
    since: str

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "nodes": self.nodes,
            "provider": self.provider,
            "path": self.path,
            "since": self.since,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Snapshots(shown.Shown):
    """What a lab's provider has kept of its machines, by name."""

    lab: str
    names: tuple[str, ...]

    def document(self) -> document.Section:
        rows = [(name,) for name in self.names] or [("none",)]
        return document.Section(f"Snapshots of lab {self.lab}", (document.Table(("name",), rows),))

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "labkit.dev/snapshots",
            "version": 1,
            "lab": self.lab,
            "names": list(self.names),
        }


@dataclass(frozen=True, slots=True, repr=False)
class UpReport(shown.Shown):
    """What `up` found, did and saw. `did` is empty when everything was as it should be."""

    status: LabStatus
    did: tuple[str, ...]
    seconds: float
    ways: proof.WaysReport | None = None
    inspection: service.ServiceInspection | None = None

    @property
    def changed(self) -> bool:
        return bool(self.did)

    def document(self) -> document.Section:
        did = group(self.did) or ["nothing: everything was as it should be"]
        blocks: list[document.Block] = [
            document.Table(("done",), [(line,) for line in did]),
            self.status.document(),
        ]
        blocks += [part.document() for part in (self.ways, self.inspection) if part]
        heading = f"Lab {self.status.name} is up ({self.seconds:.1f} s)"
        return document.Section(heading, tuple(blocks))

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "labkit.dev/up",
            "version": 1,
            "changed": self.changed,
            "did": list(self.did),
            "seconds": round(self.seconds, 3),
            "status": self.status.to_json(),
            "ways": self.ways.to_json() if self.ways else None,
            "inspection": self.inspection.to_json() if self.inspection else None,
        }


@dataclass(frozen=True, slots=True, repr=False)
class DownReport(shown.Shown):
    """What `down` ended. `existed` is false for a lab that was never up, or forgotten before.

    `left` says what could not be taken away from an API server that is not the lab's own, and why.
    """

    name: str
    was_running: bool
    purged: bool
    seconds: float
    existed: bool = True
    left: str = ""

    def document(self) -> document.Section:
        ended = "is down" if self.was_running else "was not running"
        heading = f"Lab {self.name} {ended} ({self.seconds:.1f} s)"
        blocks = [document.Text(self._state())]
        if self.left:
            blocks.append(document.Text(f"Left on its API server: {self.left}."))
        return document.Section(heading, tuple(blocks))

    def _state(self) -> str:
        if not self.existed:
            return "There is no such lab; `labkit ls` lists labs."
        kept = "kept; `labkit up` goes on with the same objects"
        return f"Its state is {'forgotten' if self.purged else kept}."

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "labkit.dev/down",
            "version": 1,
            "name": self.name,
            "was_running": self.was_running,
            "purged": self.purged,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one object of a manifest, in kubectl's words."""

    resource: resources.Resource
    name: str
    action: str

    def __repr__(self) -> str:
        return f"{self.resource.singular}/{self.name} {self.action}"


@dataclass(frozen=True, slots=True, repr=False)
class ObjectTable(shown.Shown):
    """Objects with the columns that kubectl shows; `objects` are the whole objects."""

    resource: resources.Resource
    columns: tuple[str, ...]
    rows: tuple[tuple[document.Cell, ...], ...]
    objects: tuple[resources.Object, ...]

    def document(self) -> document.Section:
        table = document.Table(self.columns, self.rows, empty=f"no {self.resource.plural}")
        return document.Section(self.resource.kind, (table,))

    def to_json(self) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "List", "items": list(self.objects)}


def group(did: Sequence[str]) -> list[str]:
    """Put what was done the same way on one line; of a file only its name is left.

    >>> group(["node1: copied /etc/a", "node1: copied /etc/b", "pod/app1-1 created"])
    ['node1: copied a, b', 'pod/app1-1 created']
    """
    lines: dict[str, list[str]] = {}
    for line in did:
        what, _, which = line.rpartition(" ")
        lines.setdefault(what, []).append(which.rpartition("/")[2])
    return [f"{what} {', '.join(which)}" for what, which in lines.items()]


def _node_table(nodes: Sequence[NodeStatus]) -> document.Table:
    return document.Table(
        ("node", "role", "address", "state", "services"), [node.row() for node in nodes]
    )
