"""What cannot be on a host that somebody lends: found there, needed, and what to do.

Every host is checked for everything, and all of it is said together, before anything is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from labkit import errors
from labkit.model import spec
from labkit.providers.ssh.survey import Survey

PYTHON = (3, 11)
#: Certificates, tokens and leases go by the clock.
CLOCK_S = 5
#: kubelet's port and kube-proxy's two.
PORTS = (10250, 10249, 10256)


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a host will not do. `is_conflict`: somebody else has it."""

    host: str
    found: str
    remedy: str
    is_conflict: bool = False

    def __str__(self) -> str:
        return f"{self.host}: {self.found}"


def check_host(
    lab: spec.LabSpec, node: spec.NodeSpec, found: Survey, *, mark: str, now: float
) -> tuple[Finding, ...]:
    """All that is wrong with one host. What a lab makes is only in the way where none is yet."""
    if found.mark not in ("", mark):
        why = f"bears the mark of another lab, {found.lab} ({found.mark})"
        return (
            Finding(node.name, why, "`labkit down` of that lab gives it back", is_conflict=True),
        )
    checks = list(_needs(node, found, now))
    if not found.mark:
        checks += _room(lab, node, found)
    return tuple(Finding(node.name, why, remedy) for why, remedy in checks)


def _needs(node: spec.NodeSpec, found: Survey, now: float) -> Iterator[tuple[str, str]]:
    if found.uid:
        yield f"commands run as uid {found.uid}, not as root", "let that user `sudo -n`"
    if _version(found.python) < PYTHON:
        need = ".".join(map(str, PYTHON))
        have = f"is Python {found.python}" if found.python else "is missing"
        yield f"/usr/bin/python3 {have}; {need} or later is needed", "install python3 there"
    if found.lacks:
        yield (
            f"has no {', '.join(found.lacks)}",
            ("install iptables, iproute2, conntrack and util-linux there"),
        )
    if found.kernel and not found.lacks:
        yield (
            f"its kernel refuses a bridge, a veth or a nat rule: {found.kernel}",
            (
                "load bridge, veth, nf_nat and xt_comment, xt_REDIRECT there; a container needs "
                "CAP_NET_ADMIN and CAP_SYS_ADMIN"
            ),
        )
    if node.address not in {each.ip for each in found.addresses}:
        has = ", ".join(str(each.ip) for each in found.addresses if not each.is_loopback)
        yield (
            f"has no address {node.address}, only {has or 'none'}",
            ("say in hosts.address an address that the host itself has: the other nodes use it"),
        )
    if abs(off := round(found.clock - now)) > CLOCK_S:
        yield (
            f"its clock is {abs(off)} s {'ahead' if off > 0 else 'behind'}",
            (f"set it to within {CLOCK_S} s: certificates and leases go by it"),
        )


def _room(lab: spec.LabSpec, node: spec.NodeSpec, found: Survey) -> Iterator[tuple[str, str]]:
    if found.taken:
        yield (
            f"has already {', '.join(found.taken)}",
            ("another lab or cluster uses this host, or left that there; take another"),
        )
    wanted = PORTS + ((spec.API_PORT,) if node.role == "control-plane" else ())
    if ports := sorted(found.listens.intersection(wanted)):
        yield (
            f"something listens on port {', '.join(map(str, ports))}",
            ("end it: these are the API server's, the kubelet's and kube-proxy's ports"),
        )
    networks = {"pods": lab.pod_network, "services": lab.service_network}
    for name, network in networks.items():
        if other := next((each for each in found.routes if each.overlaps(network)), None):
            yield (
                f"has a route to {other}, which overlaps the lab's {name} {network}",
                (f"choose another network.{name} in the lab file"),
            )


def raise_findings(findings: Iterable[Finding]) -> None:
    """Raise Busy if a host is somebody else's, NotSupported for all else; nothing if all is well.

    The message has every finding of every host.
    """
    told = tuple(findings)
    if not told:
        return
    kind = errors.Busy if any(each.is_conflict for each in told) else errors.NotSupported
    lines = [str(each) for each in told]
    message = lines[0] if len(lines) == 1 else "\n  ".join(["the hosts will not do:", *lines])
    raise kind(message, hint="; ".join(dict.fromkeys(each.remedy for each in told)))


def plan_findings(
    lab: spec.LabSpec, surveys: Mapping[str, Survey], *, mark: str, now: float
) -> tuple[Finding, ...]:
    return tuple(
        finding
        for name, found in surveys.items()
        for finding in check_host(lab, lab.node(name), found, mark=mark, now=now)
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
