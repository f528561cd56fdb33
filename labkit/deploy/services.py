"""What must run where, as data. Nothing here touches a machine.

    control        kube-apiserver, kube-proxy, podlet
    every worker   kube-proxy, podlet

Where another API server is used than the lab's own, there is no kube-apiserver; instead, on
control, kube-controller-manager and kube-scheduler, as far as that server has none.

A unit is a program with its arguments and every file that it needs. All of that together has a
revision: a process that was started with the same revision is left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.deploy import archive, pki
from labkit.deploy.pki import Pki
from labkit.model import resources, spec

BIN = "/var/lib/labkit/bin"
ETC = "/etc/labkit"
RUN = "/run/labkit"
LOG = "/var/log/labkit"
PKI = f"{ETC}/pki"
CA = f"{PKI}/ca.crt"

API_SERVER = "kube-apiserver"
#: Alone with what is in the archive: no site-packages, no PYTHON variables, unbuffered output.
PYTHON = ("/usr/bin/python3", "-I", "-S", "-u")

CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
#: It answers for no load balancer: as in a real cluster, that is for the workers to do.
_NO_BALANCER = "node.kubernetes.io/exclude-from-external-load-balancers"

Plan = Mapping[str, tuple["Unit", ...]]


@dataclass(frozen=True, slots=True)
class File:
    """What a file on a machine is to hold."""

    content: bytes = field(repr=False)
    mode: int = 0o644

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Unit:
    """A program that must run. `files` maps absolute paths to their content."""

    name: str
    argv: tuple[str, ...]
    files: Mapping[str, File]

    @property
    def revision(self) -> str:
        """16 hexadecimal digits; other arguments or other files give others."""
        files = sorted((path, file.digest, file.mode) for path, file in self.files.items())
        told = json.dumps([self.name, self.argv, files])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class External:
    """An API server that is not the lab's: how each program reaches it, and what it lacks."""

    #: Kubeconfigs as text: whom kube-proxy, the podlet and the controllers are there.
    proxy: str = field(repr=False)
    podlet: str = field(repr=False)
    controllers: str = field(repr=False)
    #: Which lab this is, on everything that it makes there.
    mark: str
    #: Who vouches for the server when it asks a kubelet; empty: nobody, and it cannot ask.
    client_ca_pem: str = ""
    #: CONTROLLER_MANAGER, SCHEDULER: those that the lab has to run.
    components: tuple[str, ...] = ()
    #: There are other nodes: keep their pods away from ours, which run no images.
    is_shared: bool = False


def plan_services(lab: spec.LabSpec, secrets: Pki, external: External | None = None) -> Plan:
    """Each node of the cluster with its units, in the order in which they start."""
    return {node.name: tuple(_units(lab, node, secrets, external)) for node in lab.cluster}


def plan_labels(node: spec.NodeSpec, external: External | None) -> dict[str, str]:
    """What a Node object is to say of its node, besides what every kubelet says."""
    labels = {_CONTROL_PLANE: "", _NO_BALANCER: ""} if node.role == "control-plane" else {}
    return labels | ({resources.LAB: external.mark} if external else {})


def plan_taints(node: spec.NodeSpec, external: External | None) -> list[dict[str, str]]:
    """Which pods a node keeps away."""
    taints = []
    if node.role == "control-plane":
        taints.append({"key": _CONTROL_PLANE, "effect": "NoSchedule"})
    if external and external.is_shared:
        taints.append({"key": resources.LAB, "value": external.mark, "effect": "NoSchedule"})
    return taints


def log_path(unit: str) -> str:
    return f"{LOG}/{unit}.log"


def _units(
    lab: spec.LabSpec, node: spec.NodeSpec, secrets: Pki, external: External | None
) -> list[Unit]:
    units = [plan_proxy(lab, node, secrets, external), plan_podlet(node, secrets, external)]
    if node.role != "control-plane":
        return units
    if external:
        return [
            *(plan_controllers(lab, node, name, external) for name in external.components),
            *units,
        ]
    return [plan_api_server(lab, secrets), *units]


def plan_controllers(
    lab: spec.LabSpec, node: spec.NodeSpec, component: str, external: External
) -> Unit:
    path = f"{ETC}/{component}.kubeconfig"
    flags = {"kubeconfig": path, "identity": f"{node.name}.{external.mark}"}
    # A node that is not ours would not answer for an address, though it were told to.
    if component == CONTROLLER_MANAGER and not external.is_shared:
        flags["load-balancer-ip-range"] = str(lab.load_balancers)
    files = {path: File(external.controllers.encode(), 0o600)}
    return _unit(component, "controllers", flags, files, component)


def plan_api_server(lab: spec.LabSpec, secrets: Pki) -> Unit:
    files = {
        CA: File(secrets.ca_pem.encode()),
        **_pair("server", (secrets.server_cert_pem, secrets.server_key_pem)),
        **_pair("kubelet-client", secrets.pairs[pki.KUBELET_CLIENT]),
        f"{PKI}/tokens.json": File(secrets.tokens_json.encode(), 0o600),
    }
    first, last = lab.node_ports
    flags = {
        "bind-address": "0.0.0.0",
        "secure-port": str(spec.API_PORT),
        "tls-cert-file": f"{PKI}/server.crt",
        "tls-private-key-file": f"{PKI}/server.key",
        "client-ca-file": CA,
        "token-auth-file": f"{PKI}/tokens.json",
        "kubelet-certificate-authority": CA,
        "kubelet-client-certificate": f"{PKI}/kubelet-client.crt",
        "kubelet-client-key": f"{PKI}/kubelet-client.key",
        "service-cluster-ip-range": str(lab.service_network),
        "service-node-port-range": f"{first}-{last}",
        "advertise-address": str(lab.control.address),
        "root-ca-file": CA,
        "load-balancer-ip-range": str(lab.load_balancers),
        "data-dir": "/var/lib/labkit/apiserver",
    }
    return _unit(API_SERVER, "apiserver", flags, files)


def plan_proxy(
    lab: spec.LabSpec, node: spec.NodeSpec, secrets: Pki, external: External | None = None
) -> Unit:
    path = f"{ETC}/kube-proxy.kubeconfig"
    own = external.proxy if external else secrets.kubeconfig(f"system:kube-proxy:{node.name}")
    files = {path: File(own.encode(), 0o600)}
    flags = {
        "kubeconfig": path,
        "hostname-override": node.name,
        "node-ip": str(node.address),
        "cluster-cidr": str(lab.pod_network),
        "proxy-mode": lab.proxy.mode,
        **lab.proxy.flags,
    }
    return _unit("kube-proxy", "agent", flags, files)


def plan_podlet(node: spec.NodeSpec, secrets: Pki, external: External | None = None) -> Unit:
    path = f"{ETC}/podlet.kubeconfig"
    own = external.podlet if external else secrets.kubeconfig(f"system:node:{node.name}")
    asked_by = external.client_ca_pem if external else secrets.ca_pem
    files = {path: File(own.encode(), 0o600)}
    flags = {
        "kubeconfig": path,
        "hostname-override": node.name,
        "node-ip": str(node.address),
        "pod-cidr": str(node.pod_network),
    }
    if asked_by:
        files |= {
            CA: File(asked_by.encode()),
            **_pair("kubelet", secrets.pairs[pki.kubelet_pair(node.name)]),
        }
        flags |= {
            "client-ca-file": CA,
            "tls-cert-file": f"{PKI}/kubelet.crt",
            "tls-private-key-file": f"{PKI}/kubelet.key",
        }
    if labels := plan_labels(node, external):
        flags["register-node-labels"] = ",".join(f"{key}={text}" for key, text in labels.items())
    if taints := plan_taints(node, external):
        flags["register-with-taints"] = ",".join(
            f"{each['key']}={each.get('value', '')}:{each['effect']}" for each in taints
        )
    return _unit("podlet", "podlet", flags, files)


def _unit(
    name: str,
    role: archive.Role,
    flags: Mapping[str, str],
    files: Mapping[str, File],
    *words: str,
) -> Unit:
    program = f"{BIN}/{name}.pyz"
    argv = (*PYTHON, program, *words, *(f"--{flag}={value}" for flag, value in flags.items()))
    return Unit(name, argv, {program: File(archive.load_archive(role)), **files})


def _pair(name: str, pair: pki.Pair) -> dict[str, File]:
    """The two files of a certificate; its key is for root alone."""
    certificate, key = (text.encode() for text in pair)
    return {f"{PKI}/{name}.crt": File(certificate), f"{PKI}/{name}.key": File(key, 0o600)}
