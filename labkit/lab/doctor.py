"""What `labkit doctor` says of the lab file: whether it can be read, and the kubeconfig it names.

Only files are read. Whether the nodes reach the server is seen by `up`, which asks from each node.
"""

from __future__ import annotations

from labkit import errors, labfile
from labkit.lab.external import kubeconfig
from labkit.model import spec
from labkit.preflight.findings import Finding


def judge_lab_file() -> tuple[Finding, ...]:
    """Of the lab file above the current folder. Nothing to say of one without a control plane."""
    try:
        wanted = labfile.load().control_plane
    except errors.ConfigError as error:
        return (Finding("lab-file", "blocked", error.message, error.hint),)
    return (explain_control_plane(wanted),) if wanted.is_external else ()


def explain_control_plane(wanted: spec.ControlPlaneSpec) -> Finding:
    try:
        server = kubeconfig.read(wanted).server
    except errors.ConfigError as error:
        return Finding("control-plane", "blocked", error.message, error.hint)
    return Finding("control-plane", "fine", f"{wanted.kubeconfig} names the API server {server}")
