"""What a container can be here: a built-in program, or a program of the node's own.

    labkit/echo    answers over HTTP and UDP with what it sees; the tag does not matter
    labkit/host    the container's own `command`, from the node's file system

There is no registry: any other name is refused at once, in the words of a kubelet that could not
pull it. The same goes for what a pod may ask of a real kubelet and not of this one.
"""

from __future__ import annotations

import pathlib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labkit.model.resources import Object

ECHO = "labkit/echo"
HOST = "labkit/host"
DEFAULT_PORT = 8080
_NO_REGISTRY = f"labkit has no registry; built-in images are {ECHO}, {HOST}"
#: What would change how a pod behaves, and is not done here. What only limits or protects it
#: (resources, securityContext, tolerations) is let pass.
_NOT_IN_PODS = {
    "initContainers": "labkit runs the pod's own containers only",
    "hostNetwork": "in labkit every pod has a network of its own",
    "activeDeadlineSeconds": "labkit sets pods no deadline",
}
_NOT_IN_CONTAINERS = {
    "startupProbe": "labkit does not know it; initialDelaySeconds of the other probes may do",
    "lifecycle": "labkit calls no hooks",
}
_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z0-9]+)\)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a container cannot run here. `pulling` says that it is for want of the image."""

    message: str
    pulling: bool = False


def explain_refusal(pod: Object, container: Object) -> Refusal | None:
    """What of the pod cannot be had here; None when it can run."""
    image = container.get("image", "")
    if repository(image) not in (ECHO, HOST):
        return Refusal(f'Failed to pull image "{image}": {_NO_REGISTRY}', pulling=True)
    if repository(image) == HOST and not container.get("command"):
        return Refusal(f'image "{HOST}" has no program of its own: the container needs a command')
    for place, fields in ((pod["spec"], _NOT_IN_PODS), (container, _NOT_IN_CONTAINERS)):
        for key, why in fields.items():
            if place.get(key):
                return Refusal(f"{key}: {why}")
    return _explain_configuration(container)


def _explain_configuration(container: Object) -> Refusal | None:
    if any(not _is_service_account(mount) for mount in container.get("volumeMounts") or ()):
        return Refusal("labkit mounts no volumes: a container sees the node's file system")
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        return Refusal("hostPort: use a Service of type NodePort, that is what it is for")
    sources = [variable.get("valueFrom") for variable in container.get("env") or ()]
    if container.get("envFrom") or any(source and "fieldRef" not in source for source in sources):
        return Refusal("labkit has no ConfigMaps and Secrets: give env values, or a fieldRef")
    return None


def _is_service_account(mount: Object) -> bool:
    """What a real API server adds to every pod; nothing here would read it."""
    return str(mount.get("mountPath", "")).startswith("/var/run/secrets/kubernetes.io/")


def repository(image: str) -> str:
    """The name without tag and digest, and without the registry that kubectl users may write.

    >>> repository("docker.io/labkit/echo:v1")
    'labkit/echo'
    """
    name = image.partition("@")[0].removeprefix("docker.io/")
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def plan_argv(container: Object, env: Mapping[str, str]) -> tuple[str, ...]:
    """Choose the program and its arguments: `command` replaces the image's own, `args` follow."""
    command = tuple(container.get("command") or ()) or echo_argv(ports_of(container))
    written = (*command, *(container.get("args") or ()))
    return tuple(expand(word, env) for word in written)


def ports_of(container: Object) -> tuple[tuple[int, str], ...]:
    """Number and protocol of each port: what the container declares, else what the image has."""
    declared = tuple(
        (int(port["containerPort"]), port.get("protocol") or "TCP")
        for port in container.get("ports") or ()
    )
    is_echo = repository(container.get("image", "")) == ECHO
    return declared or (((DEFAULT_PORT, "TCP"), (DEFAULT_PORT, "UDP")) if is_echo else ())


def echo_argv(ports: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    served = (f"{number}/{protocol}" for number, protocol in ports if protocol in ("TCP", "UDP"))
    return (*own_program(), "echo", *served)


def own_program() -> tuple[str, ...]:
    """How this very program is started once more: from its archive, or from the sources."""
    root = pathlib.Path(__file__).absolute().parents[2]
    if root.is_file():
        return (sys.executable, "-I", "-S", str(root))
    return ("env", f"PYTHONPATH={root}", sys.executable, "-S", "-m", "labkit.podlet")


def plan_environment(
    pod: Object, container: Object, facts: Mapping[str, str], path: str
) -> dict[str, str]:
    """The container's environment: what every pod is told, then the container's own."""
    env = {"PATH": path, "HOME": "/root", "HOSTNAME": facts["POD_NAME"], **facts}
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            env[variable["name"]] = read_field(pod, facts, reference.get("fieldPath", ""))
        else:
            env[variable["name"]] = expand(str(variable.get("value") or ""), env)
    return env


def read_field(pod: Object, facts: Mapping[str, str], path: str) -> str:
    """What a fieldRef points at: `metadata.name`, `metadata.labels['app']`, `status.podIP`, ..."""
    known = {
        "status.podIP": facts["POD_IP"],
        "status.podIPs": facts["POD_IP"],
        "status.hostIP": facts["HOST_IP"],
        "spec.nodeName": facts["NODE_NAME"],
    }
    if path in known:
        return known[path]
    match = re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path)
    if match:
        return str((pod["metadata"].get(match[1]) or {}).get(match[2], ""))
    parent, _, field = path.partition(".")
    return str(pod.get(parent, {}).get(field, ""))


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace each $(NAME) that is known; $$ is a dollar sign; the rest stays as it is.

    >>> expand("http://$(POD_IP):$(PORT)/$$(x)", {"POD_IP": "10.244.1.2"})
    'http://10.244.1.2:$(PORT)/$(x)'
    """

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else env.get(match[1], match[0])

    return _REFERENCE.sub(value, text)
