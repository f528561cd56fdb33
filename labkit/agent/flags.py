"""The command line: the flags of `labkit.model.flags`, and how their values are read.

A value follows its flag as `--name=value` or as the next word; `--cleanup` needs none.

argparse can do this too, but what it brings along would take a megabyte on every node for as long
as the agent runs.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from labkit import errors
from labkit.agent import notation, ports
from labkit.model import flags

#: systemd's unit and the supervisor (labkit/deploy) wait 5 s longer.
LONGEST_DRAIN_S = 30


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


def _parse_listen_ip(text: str) -> IPv4Address:
    address = IPv4Address(text)
    if address == IPv4Address("127.0.0.1"):
        raise ValueError("cannot proxy on localhost: packets from elsewhere never get there")
    return address


def _parse_mode(text: str) -> str:
    if text not in ("userspace", ""):
        raise ValueError("the only mode there is here is userspace")
    return text


def _parse_drain(text: str) -> float:
    seconds = notation.parse_duration(text)
    if seconds > LONGEST_DRAIN_S:
        raise ValueError(f"at most {LONGEST_DRAIN_S} s: who stops the agent kills it a bit later")
    return seconds


#: How the text of a flag is read, where it is not taken as it is. All raise ValueError.
_READ: Mapping[str, Callable[[str], Any]] = {
    "bind-address": _parse_listen_ip,
    "node-ip": notation.optional(IPv4Address),
    "proxy-port-range": ports.parse_port_range,
    "proxy-mode": _parse_mode,
    "cluster-cidr": notation.optional(IPv4Network),
    "iptables-sync-period": notation.parse_positive_duration,
    "iptables-min-sync-period": notation.parse_duration,
    "udp-timeout": notation.parse_positive_duration,
    "drain-timeout": _parse_drain,
    "config-sync-period": notation.parse_positive_duration,
    "healthz-bind-address": notation.parse_address,
    "metrics-bind-address": notation.parse_address,
    "v": int,
    "cleanup": notation.parse_bool,
}
#: What a flag means that is given without a value; others need one.
_BARE = {"cleanup": "true"}


def parse_flags(argv: Sequence[str]) -> Flags:
    """Read the command line. Raises UsageError, which says what was wrong."""
    texts = _split(argv)
    found = {flag.name: _read(flag.name, texts[flag.name]) for flag in flags.FLAGS}
    if not found["cleanup"] and not found["kubeconfig"]:
        raise _wrong("--kubeconfig is needed: it says where the API server is, and who we are")
    if found["iptables-min-sync-period"] > found["iptables-sync-period"]:
        raise _wrong("--iptables-min-sync-period must not be longer than --iptables-sync-period")
    return Flags(
        kubeconfig=found["kubeconfig"],
        hostname=found["hostname-override"].strip().lower() or socket.gethostname(),
        bind_address=found["bind-address"],
        node_ip=found["node-ip"],
        port_range=found["proxy-port-range"],
        sync_period_s=found["iptables-sync-period"],
        min_sync_period_s=found["iptables-min-sync-period"],
        udp_timeout_s=found["udp-timeout"],
        drain_timeout_s=found["drain-timeout"],
        cluster_cidr=found["cluster-cidr"],
        healthz_address=found["healthz-bind-address"],
        metrics_address=found["metrics-bind-address"],
        verbosity=found["v"],
        cleanup=found["cleanup"],
    )


def render_help() -> str:
    lines = ["usage: kube-proxy --kubeconfig=FILE [--FLAG=VALUE ...]", ""]
    for flag in flags.FLAGS:
        default = f" (default: {flag.default})" if flag.default else ""
        lines += [f"  --{flag.name}", f"        {flag.meaning}{default}"]
    return "\n".join((*lines, ""))


def _split(argv: Sequence[str]) -> Mapping[str, str]:
    """The text of each flag, its default if it is not given; of one given twice, the last."""
    texts = {flag.name: flag.default for flag in flags.FLAGS}
    words = iter(argv)
    for word in words:
        name, equals, text = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in texts:
            raise _wrong(f"there is no flag {word}")
        if not equals:
            value = _BARE.get(name) or next(words, None)
            if value is None:
                raise _wrong(f"--{name} needs a value")
            text = value
        texts[name] = text
    return texts


def _read(name: str, text: str) -> Any:
    try:
        return _READ.get(name, str)(text)
    except ValueError as error:
        raise _wrong(f"--{name}={text}: {error}") from error


def _wrong(message: str) -> errors.UsageError:
    return errors.UsageError(message, hint="--help lists the flags")
