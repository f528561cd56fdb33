"""A lab that only remembers what it was asked, and a world in which it is the only one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit import errors, paths
from labkit.cli import world
from labkit.display import document, shown
from labkit.lab import reports
from labkit.model import commands, events, example, resources, spec
from labkit.preflight.findings import Finding
from labkit.preflight.packages import Package

FINE = Finding("namespaces", "fine", "they can be made")


class Note(shown.Shown):
    """Stands for an inspection: says its name and turns into JSON."""

    def __init__(self, name: str) -> None:
        self.name = name

    def document(self) -> document.Section:
        return document.Section(f"Service {self.name}", ())

    def to_json(self) -> dict[str, Any]:
        return {"schema": "labkit.dev/service-inspection", "name": self.name}


def status(name: str = "lab", unit: str = "running") -> reports.LabStatus:
    node = reports.NodeStatus(
        "node1", "worker", "192.168.56.11", "running", {"kube-proxy": unit, "podlet": "running"}
    )
    return reports.LabStatus(name, "netns", (node,))


def table(kind: resources.Resource, *objects: resources.Object) -> reports.ObjectTable:
    rows = tuple((str(obj["metadata"]["name"]),) for obj in objects)
    return reports.ObjectTable(kind, ("Name",), rows, objects)


class FakeLab:
    """Has the verbs of a Lab. `asked` holds every call; `raises` is what the next verb raises."""

    def __init__(self, name: str) -> None:
        self.spec = spec.plan(name, provider="netns")
        self.paths = paths.of(name)
        self.asked: list[tuple[Any, ...]] = []
        self.raises: BaseException | None = None
        self.unit = "running"
        self.output = commands.Command(("true",), 0, "out\n", "err\n", 0.25, "node1")
        self.closed = False
        self.left = ""

    def __enter__(self) -> FakeLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def up(self, *, example: bool, observer: events.Observer, timeout_s: float) -> reports.UpReport:
        self._ask("up", example, timeout_s)
        with events.Progress(observer, total=1, clock=lambda: 0.0).step("make the machines"):
            self._fail()
        return reports.UpReport(status(self.spec.name), ("started node1",), 1.25)

    def down(self, *, purge: bool, observer: events.Observer) -> reports.DownReport:
        self._ask("down", purge)
        self._fail()
        return reports.DownReport(
            self.spec.name, was_running=True, purged=purge, seconds=0.1, left=self.left
        )

    def start(self, node: str, *, observer: events.Observer, timeout_s: float) -> reports.LabStatus:
        self._ask("start", node, timeout_s)
        return self.status()

    def stop(self, node: str, *, observer: events.Observer) -> reports.LabStatus:
        self._ask("stop", node)
        return self.status()

    def snapshots(self) -> reports.Snapshots:
        self._fail()
        return reports.Snapshots(self.spec.name, ("before",))

    def snapshot_save(self, name: str) -> reports.Snapshots:
        self._ask("save", name)
        return self.snapshots()

    def snapshot_restore(self, name: str) -> reports.Snapshots:
        self._ask("restore", name)
        return self.snapshots()

    def snapshot_delete(self, name: str) -> reports.Snapshots:
        self._ask("delete", name)
        return self.snapshots()

    def status(self) -> reports.LabStatus:
        self._fail()
        return status(self.spec.name, self.unit)

    def apply(self, manifest: str | Path | Mapping[str, Any]) -> list[reports.Applied]:
        self._ask("apply", manifest)
        self._fail()
        return [reports.Applied(resources.SERVICES, "app1", "created")]

    def get(
        self, kind: str, name: str | None = None, namespace: str | None = "default"
    ) -> reports.ObjectTable:
        self._ask("get", kind, name, namespace)
        self._fail()
        own = {"metadata": {"name": "kubernetes", "namespace": "default"}}
        objects = (example.SERVICE,) if name else (own, example.SERVICE)
        return table(resources.SERVICES, *objects)

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        self._ask("delete", kind, name, namespace)
        self._fail()

    def exec(self, target: str, argv: Sequence[str], *, stdin: str = "") -> commands.Command:
        self._ask("exec", target, tuple(argv), stdin)
        self._fail()
        return self.output

    def logs(self, target: str, *, lines: int | None = None) -> str:
        self._ask("logs", target, lines)
        return "a line\n"

    def inspect(self, name: str, *, namespace: str = "default", node: str | None = None) -> Note:
        self._ask("inspect", name, namespace, node)
        self._fail()
        return Note(name)

    def inspect_layer(self, layer: str, *, node: str | None = None, chain: str = "") -> Note:
        self._ask("inspect_layer", layer, node, chain)
        return Note(layer)

    def kubectl_argv(self, arguments: Sequence[str]) -> tuple[str, ...]:
        return ("within", "kubectl", *arguments)

    def ssh_argv(self, node: str, argv: Sequence[str] = ()) -> tuple[str, ...]:
        self.spec.node(node)
        self._fail()
        return ("ssh", node, *argv)

    def kubeconfig(self) -> str:
        return "{}\n"

    def ssh_config(self) -> str:
        return "Host node1\n"

    def _ask(self, *what: Any) -> None:
        self.asked.append(what)

    def _fail(self) -> None:
        if self.raises:
            raise self.raises


class FakeWorld(world.World):
    """One machine with one lab; nobody sits there unless `answers` says what they answer."""

    def __init__(self) -> None:
        self.lab = FakeLab("lab")
        self.overrides: Mapping[str, Any] | None = None
        self.labs: tuple[reports.LabSummary, ...] = ()
        self.programs = {"kubectl"}
        self.missing: tuple[Package, ...] = ()
        self.installed: tuple[Package, ...] = ()
        self.asked_about = ""
        self.found: tuple[Finding, ...] = (FINE,)
        self.answers: bool | None = None
        self.became: list[str] = []

    def open_lab(self, name: str | None, overrides: Mapping[str, Any] | None = None) -> Any:
        if name not in (None, "lab"):
            self.lab = FakeLab(spec.check_name(name or ""))
        self.overrides = overrides
        return self.lab

    def list_labs(self) -> tuple[reports.LabSummary, ...]:
        return self.labs

    def find_program(self, name: str) -> bool:
        return name in self.programs

    def become(self, argv: Sequence[str]) -> int:
        self.became = list(argv)
        return 7

    def missing_packages(self) -> tuple[Package, ...]:
        return self.missing

    def install(self, missing: Sequence[Package], ask: Callable[[str], bool]) -> None:
        if not ask("install?"):
            raise errors.NotSupported("packages are missing", hint="apt-get install")
        self.installed, self.missing = tuple(missing), ()

    def findings(self, provider: str, name: str | None) -> tuple[Finding, ...]:
        self.asked_about = provider
        return self.found

    def planned_provider(self) -> str:
        return self.lab.spec.provider

    def is_terminal(self) -> bool:
        return self.answers is not None

    def ask(self, question: str) -> bool:
        return bool(self.answers)
