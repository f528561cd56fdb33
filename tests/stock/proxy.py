"""How the stock kube-proxy of 1.20 is started."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Mode = Literal["userspace", "iptables"]

LAUNCHER = Path(__file__).parent / "unlimited.py"

#: It asks for EndpointSlices of discovery.k8s.io/v1beta1, which servers since 1.25 do not have (and
#: with which its userspace mode never begins). Endpoints are what it can share with us.
_GATES = "EndpointSliceProxying=false"
#: These settings of the kernel are the machine's; a namespace cannot change them.
_KEEP = ("max-per-core", "tcp-timeout-established", "tcp-timeout-close-wait")


def flags(mode: Mode, kubeconfig: str, node: str) -> tuple[str, ...]:
    return (
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node}",
        f"--proxy-mode={mode}",
        f"--feature-gates={_GATES}",
        "--cluster-cidr=10.244.0.0/16",
        *(f"--conntrack-{each}=0" for each in _KEEP),
    )


def complaints(log: str) -> list[str]:
    """The errors that it has logged, by the letter that klog puts before the date.

    That a server does not listen yet is no complaint about what it answers.
    """
    found = [line for line in log.splitlines() if line[:1] in "EF" and line[1:5].isdigit()]
    return [line for line in found if not line.endswith("connection refused")]
