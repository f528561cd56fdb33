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

from labkit.deploy import archive
from labkit.deploy.pki import Pki
from labkit.model import spec

BIN = "/var/lib/labkit/bin"
ETC = "/etc/labkit"
RUN = "/run/labkit"
LOG = "/var/log/labkit"

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
    pki = f"{ETC}/pki"
    files = {
        f"{pki}/ca.crt": File(secrets.ca_pem.encode()),
        f"{pki}/server.crt": File(secrets.server_cert_pem.encode()),
        f"{pki}/server.key": File(secrets.server_key_pem.encode(), 0o600),
        f"{pki}/tokens.json": File(secrets.tokens_json.encode(), 0o600),
    }
    first, last = lab.node_ports
    flags = {
        "bind-address": "0.0.0.0",
        "secure-port": str(spec.API_PORT),
        "tls-cert-file": f"{pki}/server.crt",
        "tls-private-key-file": f"{pki}/server.key",
        "client-ca-file": f"{pki}/ca.crt",
        "token-auth-file": f"{pki}/tokens.json",
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
    files = {path: _kubeconfig(secrets, f"system:node:{node.name}")}
    flags = {
        "kubeconfig": path,
        "hostname-override": node.name,
        "node-ip": str(node.address),
        "pod-cidr": str(node.pod_network),
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


def _kubeconfig(secrets: Pki, user: str) -> File:
    return File(secrets.kubeconfig(user).encode(), 0o600)
