"""What a pod may be, field by field."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.apiserver import validation
from labkit.apiserver.kinds import pod_host
from labkit.model import resources

RESTART_POLICIES = ("Always", "Never", "OnFailure")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def containers(spec: resources.Object) -> Iterator[tuple[str, resources.Object]]:
    """Every container with its field path, init containers first."""
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            yield f"spec.{field}[{index}]", container


def validate(pod: resources.Object, report: validation.Report) -> None:
    spec = pod["spec"]
    if not spec.get("containers"):
        report.required("spec.containers")
    volumes = _validate_volumes(spec, report)
    for path, container in containers(spec):
        _validate_container(container, path, volumes, report)
    everyone = [container for _, container in containers(spec)]
    validation.check_unique(report, "spec.containers", "name", everyone)
    report.one_of("spec.restartPolicy", spec["restartPolicy"], RESTART_POLICIES)
    report.one_of("spec.dnsPolicy", spec["dnsPolicy"], _DNS_POLICIES)
    _validate_numbers(spec, report)
    pod_host.validate(spec, report)
    if spec.get("nodeName"):
        report.check("spec.nodeName", spec["nodeName"], validation.dns_subdomain(spec["nodeName"]))
    validation.check_labels(report, "spec.nodeSelector", spec.get("nodeSelector") or {})
    for index, toleration in enumerate(spec.get("tolerations") or []):
        _validate_toleration(toleration, f"spec.tolerations[{index}]", report)


def _validate_numbers(spec: resources.Object, report: validation.Report) -> None:
    grace = spec["terminationGracePeriodSeconds"]
    if grace < 0:
        detail = "must be greater than or equal to 0"
        report.invalid("spec.terminationGracePeriodSeconds", grace, detail)
    deadline = spec.get("activeDeadlineSeconds", 1)
    if deadline < 1:
        detail = "must be between 1 and 2147483647, inclusive"
        report.invalid("spec.activeDeadlineSeconds", deadline, detail)


def _validate_volumes(spec: resources.Object, report: validation.Report) -> set[str]:
    volumes = spec.get("volumes") or []
    for index, volume in enumerate(volumes):
        name = volume.get("name", "")
        if not name:
            report.required(f"spec.volumes[{index}].name")
        else:
            report.check(f"spec.volumes[{index}].name", name, validation.dns_label(name))
        if len(volume) < 2:
            report.required(f"spec.volumes[{index}]", "must specify a volume type")
    validation.check_unique(report, "spec.volumes", "name", volumes)
    return {volume.get("name", "") for volume in volumes}


def _validate_container(
    container: resources.Object, path: str, volumes: set[str], report: validation.Report
) -> None:
    name = container.get("name", "")
    if not name:
        report.required(f"{path}.name")
    else:
        report.check(f"{path}.name", name, validation.dns_label(name))
    _validate_image(container.get("image", ""), f"{path}.image", report)
    report.one_of(f"{path}.imagePullPolicy", container["imagePullPolicy"], _PULL_POLICIES)
    _validate_ports(container.get("ports") or [], f"{path}.ports", report)
    for index, variable in enumerate(container.get("env") or []):
        _validate_variable(variable, f"{path}.env[{index}]", report)
    for index, mount in enumerate(container.get("volumeMounts") or []):
        _validate_mount(mount, f"{path}.volumeMounts[{index}]", volumes, report)
    for field in PROBES:
        if field in container:
            _validate_probe(container[field], f"{path}.{field}", report)
            once = container[field].get("successThreshold", 1) == 1
            if field != "readinessProbe" and not once:
                threshold = container[field]["successThreshold"]
                report.invalid(f"{path}.{field}.successThreshold", threshold, "must be 1")


def _validate_image(image: str, path: str, report: validation.Report) -> None:
    if not image:
        report.required(path)
    elif image.strip() != image:
        report.invalid(path, image, "must not have leading or trailing whitespace")


def _validate_ports(ports: list[resources.Object], path: str, report: validation.Report) -> None:
    for index, port in enumerate(ports):
        here = f"{path}[{index}]"
        number = port.get("containerPort", 0)
        if number:
            report.check(f"{here}.containerPort", number, validation.port_number(number))
        else:
            report.required(f"{here}.containerPort")
        if port.get("hostPort"):
            report.check(
                f"{here}.hostPort", port["hostPort"], validation.port_number(port["hostPort"])
            )
        if port.get("name"):
            report.check(f"{here}.name", port["name"], validation.port_name(port["name"]))
        report.one_of(f"{here}.protocol", port["protocol"], _PROTOCOLS)
    validation.check_unique(report, path, "name", ports)


def _validate_variable(variable: resources.Object, path: str, report: validation.Report) -> None:
    name = variable.get("name", "")
    if not name:
        report.required(f"{path}.name")
    elif not name.isprintable() or "=" in name:
        detail = (
            "a valid environment variable name must consist only of printable ASCII characters "
            "other than '='"
        )
        report.invalid(f"{path}.name", name, detail)
    if variable.get("value") and variable.get("valueFrom"):
        detail = "may not be specified when `value` is not empty"
        report.invalid(f"{path}.valueFrom", "", detail)


def _validate_mount(
    mount: resources.Object, path: str, volumes: set[str], report: validation.Report
) -> None:
    name = mount.get("name", "")
    if not name:
        report.required(f"{path}.name")
    elif name not in volumes:
        report.missing(f"{path}.name", name)
    if not mount.get("mountPath"):
        report.required(f"{path}.mountPath")


def _validate_probe(probe: resources.Object, path: str, report: validation.Report) -> None:
    handlers = [name for name in _HANDLERS if name in probe]
    if not handlers:
        report.required(path, "must specify a handler type")
    for name in handlers[1:]:
        report.forbidden(f"{path}.{name}", "may not specify more than 1 handler type")
    for name in ("httpGet", "tcpSocket"):
        if name in probe:
            port = probe[name].get("port", 0)
            check = validation.port_name if isinstance(port, str) else validation.port_number
            report.check(f"{path}.{name}.port", port, check(port))
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold"):
        if probe.get(field, 0) < 0:
            report.invalid(f"{path}.{field}", probe[field], "must be greater than or equal to 0")


def _validate_toleration(
    toleration: resources.Object, path: str, report: validation.Report
) -> None:
    operator = toleration.get("operator", "Equal")
    if not toleration.get("key") and operator != "Exists":
        detail = (
            "operator must be Exists when `key` is empty, "
            'which means "match all values and all keys"'
        )
        report.invalid(f"{path}.operator", operator, detail)
    if operator not in ("Equal", "Exists"):
        report.unsupported(f"{path}.operator", operator, ("Equal", "Exists"))
    if operator == "Exists" and toleration.get("value"):
        detail = "value must be empty when `operator` is 'Exists'"
        report.invalid(f"{path}.operator", toleration["value"], detail)
    effect = toleration.get("effect", "")
    if effect and effect not in _EFFECTS:
        report.unsupported(f"{path}.effect", effect, _EFFECTS)


def validate_update(
    new: resources.Object, old: resources.Object, report: validation.Report
) -> None:
    """A pod's spec is what a process was started with: little of it can change afterwards."""
    if _settled(new["spec"]) != _settled(old["spec"]):
        report.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
            "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
            "(allow it to be set to 1 if it was previously negative)",
        )
    kept = new["spec"].get("tolerations") or []
    if any(item not in kept for item in old["spec"].get("tolerations") or []):
        report.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        )


def _settled(spec: resources.Object) -> resources.Object:
    """The spec without what may change."""
    result = {k: v for k, v in spec.items() if k not in ("activeDeadlineSeconds", "tolerations")}
    for field in ("initContainers", "containers"):
        if field in result:
            result[field] = [
                {k: v for k, v in container.items() if k != "image"} for container in result[field]
            ]
    return result
