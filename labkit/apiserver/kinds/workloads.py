"""What all kinds that make pods have: a selector, a template, a number of replicas."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.apiserver import selectors, status, tables, validation
from labkit.apiserver.kinds import kind, pod_rules, pods
from labkit.model import resources

_PARTS = ("fullyLabeledReplicas", "updatedReplicas", "readyReplicas", "availableReplicas")
_COUNTS = ("replicas", *_PARTS, "unavailableReplicas")
_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")


def default(obj: resources.Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    pods.default(spec.setdefault("template", {}))


def selector_of(obj: resources.Object) -> selectors.Selector:
    return selectors.read_selector(obj["spec"].get("selector") or {})


def validate(obj: resources.Object, report: validation.Report) -> None:
    spec = obj["spec"]
    for field in ("replicas", "minReadySeconds"):
        if spec.get(field, 0) < 0:
            detail = "must be greater than or equal to 0"
            report.invalid(f"spec.{field}", spec[field], detail)
    _validate_selector(spec, report)
    _validate_template(spec["template"], report)
    _validate_status(obj.get("status") or {}, report)


def _validate_status(state: resources.Object, report: validation.Report) -> None:
    """None of the counts can be more than all replicas there are."""
    for field in _COUNTS:
        if state.get(field, 0) < 0:
            detail = "must be greater than or equal to 0"
            report.invalid(f"status.{field}", state[field], detail)
    for field in _PARTS:
        if field in state and state[field] > state.get("replicas", 0):
            detail = "cannot be greater than status.replicas"
            report.invalid(f"status.{field}", state[field], detail)
    if state.get("availableReplicas", 0) > state.get("readyReplicas", 0):
        detail = "cannot be greater than readyReplicas"
        report.invalid("status.availableReplicas", state["availableReplicas"], detail)


def _validate_selector(spec: resources.Object, report: validation.Report) -> None:
    selector = spec.get("selector")
    if selector is None:
        report.required("spec.selector")
        return
    if not selector:
        detail = "empty selector is invalid for deployment"
        report.add("FieldValueInvalid", "spec.selector", "Invalid value", detail)
        return
    for index, item in enumerate(selector.get("matchExpressions") or []):
        path = f"spec.selector.matchExpressions[{index}].operator"
        report.one_of(path, item.get("operator", ""), _OPERATORS)
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    if not selectors.match_labels(selectors.read_selector(selector), labels):
        shown = validation.GoText(_render_map(labels))
        detail = "`selector` does not match template `labels`"
        report.invalid("spec.template.metadata.labels", shown, detail)


def _render_map(labels: dict[str, str]) -> str:
    pairs = ", ".join(f'"{key}":"{value}"' for key, value in sorted(labels.items()))
    return f"map[string]string{{{pairs}}}"


def _validate_template(template: resources.Object, report: validation.Report) -> None:
    """A template is a pod without a name; what is wrong with it is found below its path."""
    inner = validation.Report()
    labels = template.get("metadata", {}).get("labels") or {}
    validation.check_labels(inner, "metadata.labels", labels)
    pod_rules.validate(template, inner)
    policy = template["spec"]["restartPolicy"]
    if policy in pod_rules.RESTART_POLICIES and policy != "Always":
        inner.unsupported("spec.restartPolicy", policy, ("Always",))
    report.causes += [
        status.Cause(cause.reason, cause.message, f"spec.template.{cause.field}")
        for cause in inner.causes
    ]


def validate_update(
    new: resources.Object, old: resources.Object, report: validation.Report
) -> None:
    if new["spec"].get("selector") != old["spec"].get("selector"):
        report.invalid("spec.selector", new["spec"].get("selector"), "field is immutable")


# --- columns -------------------------------------------------------------------------------------

WIDE_COLUMNS = (
    tables.Column("Containers", priority=1),
    tables.Column("Images", priority=1),
    tables.Column("Selector", priority=1),
)


def wide_cells(obj: resources.Object) -> Iterator[tables.Cell]:
    containers = obj["spec"]["template"]["spec"].get("containers") or []
    for field in ("name", "image"):
        yield ",".join(container.get(field, "") for container in containers)
    yield selectors.render_selector(selector_of(obj)) or "<none>"


# --- scale ---------------------------------------------------------------------------------------


def show_scale(obj: resources.Object) -> resources.Object:
    """How many there are to be, and how many there are."""
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: obj["metadata"][field] for field in kept},
        "spec": {"replicas": obj["spec"]["replicas"]},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": selectors.render_selector(selector_of(obj)),
        },
    }


def take_scale(scale: resources.Object, obj: resources.Object) -> resources.Object:
    """Only the number counts, and the version that it was decided upon."""
    version = scale.get("metadata", {}).get("resourceVersion", "")
    meta = {**obj["metadata"], "resourceVersion": version}
    replicas = scale.get("spec", {}).get("replicas", 0)
    return {**obj, "metadata": meta, "spec": {**obj["spec"], "replicas": replicas}}


SCALE = kind.Subresource(
    "scale",
    "Scale",
    ("get", "patch", "update"),
    "autoscaling",
    "v1",
    kind.Form(show_scale, take_scale),
)
