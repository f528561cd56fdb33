"""The command line, with kubelet's own names for what kubelet has too."""

from __future__ import annotations

import argparse
import ipaddress
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from labkit.model import kubelet

#: A taint as the API has it: key, value, effect.
Taint = tuple[tuple[str, str], ...]
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Options:
    """What the podlet was told."""

    kubeconfig: str
    name: str
    address: IPv4Address
    pod_network: IPv4Network
    taints: tuple[Taint, ...]
    labels: tuple[tuple[str, str], ...]
    root_dir: pathlib.Path
    run_dir: pathlib.Path
    log_dir: pathlib.Path
    port: int
    tls_cert_file: str
    tls_private_key_file: str
    client_ca_file: str
    lease_s: int
    verbosity: int
    cleanup: bool

    @property
    def state_dir(self) -> pathlib.Path:
        return self.run_dir / "pods"


def parse(argv: Sequence[str]) -> Options:
    """Read the command line; for a bad value argparse says which and ends with status 2."""
    given = _parser().parse_args(argv)
    return Options(
        kubeconfig=given.kubeconfig,
        name=given.hostname_override,
        address=given.node_ip,
        pod_network=given.pod_cidr,
        taints=given.register_with_taints,
        labels=given.register_node_labels,
        root_dir=given.root_dir,
        run_dir=given.run_dir,
        log_dir=given.pod_log_dir,
        port=given.port,
        tls_cert_file=given.tls_cert_file,
        tls_private_key_file=given.tls_private_key_file,
        client_ca_file=given.client_ca_file,
        lease_s=given.node_lease_duration_seconds,
        verbosity=given.v,
        cleanup=given.cleanup,
    )


class _Formatter(argparse.HelpFormatter):
    """Of a fixed width: to ask the terminal for its own costs half a megabyte of imports."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="podlet", description="The node's mini kubelet.", formatter_class=_Formatter
    )
    add = parser.add_argument
    add("--kubeconfig", default="/etc/labkit/podlet.kubeconfig", help="in JSON")
    add("--hostname-override", default=_own_name(), metavar="NAME", help="the Node's name")
    add("--node-ip", type=IPv4Address, default=IPv4Address("127.0.0.1"), metavar="ADDRESS")
    add("--pod-cidr", type=_network, default="10.244.0.0/24", metavar="NETWORK")
    add("--register-with-taints", type=parse_taints, default=(), metavar="KEY=VALUE:EFFECT,...")
    add("--register-node-labels", type=parse_labels, default=(), metavar="KEY=VALUE,...")
    add("--root-dir", type=pathlib.Path, default="/var/lib/labkit/podlet", metavar="DIR")
    add("--run-dir", type=pathlib.Path, default="/run/labkit", metavar="DIR")
    add("--pod-log-dir", type=pathlib.Path, default="/var/log/pods", metavar="DIR")
    add("--port", type=int, default=kubelet.PORT, help="where the API server asks for logs")
    add("--tls-cert-file", default="", metavar="FILE", help="what this port shows; none, no port")
    add("--tls-private-key-file", default="", metavar="FILE")
    add("--client-ca-file", default="", metavar="FILE", help="who vouches for the API server")
    add(
        "--node-lease-duration-seconds",
        type=_seconds,
        default=40,
        metavar="SECONDS",
        help="for how long a sign of life counts; a new one comes after a quarter of it",
    )
    add("--v", type=int, default=2, metavar="LEVEL", help="4 and above says every detail")
    add(
        "--cleanup",
        action="store_true",
        help="remove every pod, bridge and route of ours, and nothing else; then end",
    )
    return parser


def parse_taints(text: str) -> tuple[Taint, ...]:
    """Read taints as kubelet writes them.

    >>> parse_taints("node-role.kubernetes.io/control-plane=:NoSchedule")
    ((('key', 'node-role.kubernetes.io/control-plane'), ('effect', 'NoSchedule')),)
    """
    return tuple(_parse_taint(part) for part in text.split(",") if part)


def parse_labels(text: str) -> tuple[tuple[str, str], ...]:
    """Read `key=value,key=value`; a key alone has an empty value."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return tuple((key, value) for key, _, value in pairs)


def _parse_taint(text: str) -> Taint:
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    if not key or effect not in _EFFECTS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a taint, as KEY=VALUE:EFFECT with one of {', '.join(_EFFECTS)}"
        )
    taint = {"key": key, "value": value, "effect": effect}
    return tuple((name, part) for name, part in taint.items() if part)


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from 1 on")
    return int(text)


def _network(text: str) -> IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if network.num_addresses < 4:
        raise argparse.ArgumentTypeError(f"{text} has no room for a pod")
    return network


def _own_name() -> str:
    return os.uname().nodename
