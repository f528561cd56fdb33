"""What must run where, as data. Nothing here touches a machine.

    control        kube-apiserver, kube-proxy, podlet
    every worker   kube-proxy, podlet

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
from labkit.model import spec

BIN = "/var/lib/labkit/bin"
ETC = "/etc/labkit"
RUN = "/run/labkit"
LOG = "/var/log/labkit"
PKI = f"{ETC}/pki"
CA = f"{PKI}/ca.crt"

API_SERVER = "kube-apiserver"
#: Alone with what is in the archive: no site-packages, no PYTHON variables, unbuffered output.
PYTHON = ("/usr/bin/python3", "-I", "-S", "-u")

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

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


def plan_services(lab: spec.LabSpec, secrets: Pki) -> Plan:
    """Each node of the cluster with its units, in the order in which they start."""
    return {node.name: tuple(_units(lab, node, secrets)) for node in lab.cluster}


def log_path(unit: str) -> str:
    return f"{LOG}/{unit}.log"


def _units(lab: spec.LabSpec, node: spec.NodeSpec, secrets: Pki) -> list[Unit]:
    units = [plan_proxy(lab, node, secrets), plan_podlet(node, secrets)]
    if node.role == "control-plane":
        units.insert(0, plan_api_server(lab, secrets))
    return units


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
        "data-dir": "/var/lib/labkit/apiserver",
    }
    return _unit(API_SERVER, "apiserver", flags, files)


def plan_proxy(lab: spec.LabSpec, node: spec.NodeSpec, secrets: Pki) -> Unit:
    path = f"{ETC}/kube-proxy.kubeconfig"
    files = {path: _kubeconfig(secrets, f"system:kube-proxy:{node.name}")}
    flags = {
        "kubeconfig": path,
        "hostname-override": node.name,
        "node-ip": str(node.address),
        "proxy-mode": lab.proxy.mode,
        **lab.proxy.flags,
    }
    return _unit("kube-proxy", "agent", flags, files)


def plan_podlet(node: spec.NodeSpec, secrets: Pki) -> Unit:
    path = f"{ETC}/podlet.kubeconfig"
    files = {
        path: _kubeconfig(secrets, f"system:node:{node.name}"),
        CA: File(secrets.ca_pem.encode()),
        **_pair("kubelet", secrets.pairs[pki.kubelet_pair(node.name)]),
    }
    flags = {
        "kubeconfig": path,
        "hostname-override": node.name,
        "node-ip": str(node.address),
        "pod-cidr": str(node.pod_network),
        "client-ca-file": CA,
        "tls-cert-file": f"{PKI}/kubelet.crt",
        "tls-private-key-file": f"{PKI}/kubelet.key",
    }
    if node.role == "control-plane":
        flags["register-node-labels"] = f"{_CONTROL_PLANE}="
        flags["register-with-taints"] = f"{_CONTROL_PLANE}=:NoSchedule"
    return _unit("podlet", "podlet", flags, files)


def _unit(
    name: str, role: archive.Role, flags: Mapping[str, str], files: Mapping[str, File]
) -> Unit:
    program = f"{BIN}/{name}.pyz"
    argv = (*PYTHON, program, *(f"--{flag}={value}" for flag, value in flags.items()))
    return Unit(name, argv, {program: File(archive.load_archive(role)), **files})


def _pair(name: str, pair: pki.Pair) -> dict[str, File]:
    """The two files of a certificate; its key is for root alone."""
    certificate, key = (text.encode() for text in pair)
    return {f"{PKI}/{name}.crt": File(certificate), f"{PKI}/{name}.key": File(key, 0o600)}


def _kubeconfig(secrets: Pki, user: str) -> File:
    return File(secrets.kubeconfig(user).encode(), 0o600)
