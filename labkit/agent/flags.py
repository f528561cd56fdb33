"""The command line: the flags of `labkit.model.flags`, and what their values may look like.

Durations are in Go's form (`250ms`, `1m30s`), addresses are `IP:port`. A wrong flag ends the
program with status 2 and a message that says what was wrong.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from labkit import errors
from labkit.agent import ports
from labkit.model import flags

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
#: systemd's unit and the supervisor (labkit/deploy) wait 5 s longer.
LONGEST_DRAIN_S = 30
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the agent is told, checked."""

    kubeconfig: str
    hostname: str
    bind_address: IPv4Address
    node_ip: IPv4Address | None
    port_range: ports.PortRange
    sync_period_s: float
    min_sync_period_s: float
    udp_timeout_s: float
    drain_timeout_s: float
    cluster_cidr: IPv4Network | None
    healthz_address: tuple[str, int]
    metrics_address: tuple[str, int]
    verbosity: int
    cleanup: bool


def parse_flags(argv: Sequence[str]) -> Flags:
    """Read the command line. A wrong one ends the program with status 2, as argparse does it."""
    parser = _parser()
    found = parser.parse_args(argv)
    if not found.cleanup and not found.kubeconfig:
        parser.error("--kubeconfig is needed: it says where the API server is, and who we are")
    if found.iptables_min_sync_period > found.iptables_sync_period:
        parser.error("--iptables-min-sync-period must not be longer than --iptables-sync-period")
    return Flags(
        kubeconfig=found.kubeconfig,
        hostname=found.hostname_override.strip().lower() or socket.gethostname(),
        bind_address=found.bind_address,
        node_ip=found.node_ip,
        port_range=found.proxy_port_range,
        sync_period_s=found.iptables_sync_period,
        min_sync_period_s=found.iptables_min_sync_period,
        udp_timeout_s=found.udp_timeout,
        drain_timeout_s=found.drain_timeout,
        cluster_cidr=found.cluster_cidr,
        healthz_address=found.healthz_bind_address,
        metrics_address=found.metrics_bind_address,
        verbosity=found.v,
        cleanup=found.cleanup,
    )


def parse_duration(text: str) -> float:
    """Seconds in a duration of Go's form. Raises ValueError.

    >>> parse_duration("1m30s"), parse_duration("250ms"), parse_duration("0")
    (90.0, 0.25, 0.0)
    """
    if text == "0":
        return 0.0
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration: write 30s, 250ms or 1m30s")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def parse_address(text: str) -> tuple[str, int]:
    """`0.0.0.0:10256` taken apart. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > ports.LAST_PORT:
        raise ValueError(f"{text!r} is not an address with a port: write 127.0.0.1:10249")
    return str(ipaddress.ip_address(host.strip("[]"))), int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kube-proxy",
        description="kube-proxy in userspace mode.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for flag in flags.FLAGS:
        how = {"default": flag.default, "help": flag.meaning, **_HOW.get(flag.name, {})}
        parser.add_argument(f"--{flag.name}", *_SHORT.get(flag.name, ()), **how)
    return parser


def _positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if not seconds:
        raise ValueError("it must be longer than 0")
    return seconds


def _drain_duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds > LONGEST_DRAIN_S:
        raise ValueError(f"at most {LONGEST_DRAIN_S} s: who stops the agent kills it a bit later")
    return seconds


def _listen_address(text: str) -> IPv4Address:
    address = IPv4Address(text)
    if address == IPv4Address("127.0.0.1"):
        raise ValueError("cannot proxy on localhost: packets from elsewhere never get there")
    return address


def _node_address(text: str) -> IPv4Address | None:
    return IPv4Address(text) if text else None


def _network(text: str) -> IPv4Network | None:
    return IPv4Network(text) if text else None


def _parse_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _checked(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Have argparse print what `parse` says, instead of words of its own."""

    def checked(text: str) -> Any:
        try:
            return parse(text)
        except (ValueError, errors.ConfigError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


#: What argparse has to know of a flag, where it is no plain text.
_HOW: Mapping[str, Mapping[str, Any]] = {
    "bind-address": {"type": _checked(_listen_address)},
    "node-ip": {"type": _checked(_node_address)},
    "proxy-port-range": {"type": _checked(ports.parse_port_range)},
    "proxy-mode": {"choices": ("userspace", "")},
    "cluster-cidr": {"type": _checked(_network)},
    "iptables-sync-period": {"type": _checked(_positive_duration)},
    "iptables-min-sync-period": {"type": _checked(parse_duration)},
    "udp-timeout": {"type": _checked(_positive_duration)},
    "drain-timeout": {"type": _checked(_drain_duration)},
    "config-sync-period": {"type": _checked(_positive_duration)},
    "healthz-bind-address": {"type": _checked(parse_address)},
    "metrics-bind-address": {"type": _checked(parse_address)},
    "v": {"type": int, "metavar": "LEVEL"},
    "cleanup": {"type": _checked(_parse_bool), "nargs": "?", "const": True},
}
_SHORT = {"v": ("-v",)}
