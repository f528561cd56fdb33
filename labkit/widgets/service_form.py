"""A Service as a form: its fields, the manifest that they make, and the call that applies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from labkit import errors
from labkit.display import document, shown
from labkit.model import example, resources
from labkit.widgets import controls, view

if TYPE_CHECKING:
    from labkit.lab import Lab

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


@dataclass(frozen=True, slots=True, repr=False)
class Draft(shown.Shown):
    """A manifest, how to apply it by hand, and what became of it."""

    manifest: resources.Object
    outcome: str = ""

    @property
    def yaml(self) -> str:
        return yaml.safe_dump(self.manifest, sort_keys=False, default_flow_style=False)

    def document(self) -> document.Section:
        command = ("labkit kubectl apply -f - <<EOF", *self.yaml.splitlines(), "EOF")
        outcome = [document.Text(self.outcome)] if self.outcome else []
        name = self.manifest["metadata"]["name"]
        return document.Section(
            f"Service {name}, and the command that applies it", (*outcome, document.Code(command))
        )


class ServiceForm(view.View):
    """Fill in a Service. `value` is the draft; its `manifest` is what `lab.apply` takes.

    It begins with `service`, or else with the example.
    """

    def __init__(self, lab: Lab, service: resources.Object | None = None) -> None:
        shows = _controls(service or _find_example(lab))
        super().__init__(
            "A Service",
            shows,
            {"draft": ("", self._draft), "apply": ("applying", self._apply)},
        )
        self._lab = lab
        fields = (one for one in shows if not isinstance(one, controls.Button))
        self._draft(**{one.name: one.value for one in fields})

    def _draft(self, **values: Any) -> None:
        self.show(Draft(write_manifest(**values)), "nothing is applied yet")

    def _apply(self, **values: Any) -> None:
        manifest = write_manifest(**values)
        applied = ", ".join(map(repr, self._lab.apply(manifest)))
        self.show(Draft(manifest, applied), applied)


def _find_example(lab: Lab) -> resources.Object:
    """The example as it is in the lab, where it is; its ports may have been changed meanwhile."""
    try:
        found: resources.Object = lab.get("services", example.NAME).objects[0]
    except errors.LabkitError:
        return example.SERVICE
    return found


def _controls(service: resources.Object) -> list[controls.Control]:
    spec = service["spec"]
    port = spec["ports"][0]
    labels = spec.get("selector") or {}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    told = "draft"
    return [
        controls.Words("name", "name", service["metadata"]["name"], told),
        controls.Choice(
            "service_type",
            "type",
            controls.same_words(*_TYPES),
            spec.get("type") or "ClusterIP",
            told,
        ),
        controls.Number("port", "port", port["port"], 1, action=told),
        controls.Words("target_port", "targetPort", str(port.get("targetPort", "")), told),
        controls.Number("node_port", "nodePort (0: any)", port.get("nodePort", 0), action=told),
        controls.Words("selector", "selector", selector, told),
        controls.Choice(
            "affinity",
            "sessionAffinity",
            controls.same_words("None", "ClientIP"),
            spec.get("sessionAffinity") or "None",
            told,
        ),
        controls.Button("apply", "Apply", "Create the Service, or change it to this"),
    ]


def write_manifest(
    *,
    name: str,
    service_type: str,
    port: int,
    target_port: str,
    node_port: int,
    selector: str,
    affinity: str,
) -> resources.Object:
    """The Service that the fields say. Raises UsageError for a selector that is none."""
    wanted: resources.Object = {"port": port}
    if target_port:
        wanted["targetPort"] = int(target_port) if target_port.isdigit() else target_port
    if node_port and service_type != "ClusterIP":
        wanted["nodePort"] = node_port
    spec: resources.Object = {
        "type": service_type,
        "ports": [wanted],
        "selector": _labels(selector),
    }
    if affinity != "None":
        spec["sessionAffinity"] = affinity
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def _labels(text: str) -> dict[str, str]:
    """`a=b,c=d` as labels."""
    labels: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise errors.UsageError(f"{part!r} is no label", hint="such as name=app1,tier=web")
        labels[key.strip()] = value.strip()
    return labels
