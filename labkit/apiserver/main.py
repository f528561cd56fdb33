"""The command line of the API server. The flags are kube-apiserver's, where it has them."""

from __future__ import annotations

import argparse
import gc
import ipaddress
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import errors
from labkit.apiserver import allocation, store
from labkit.model import pool

if TYPE_CHECKING:
    from labkit.apiserver import serve
    from labkit.apiserver.controllers import loops


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "kube-apiserver", description="The lab's Kubernetes API server.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--bind-address", default="0.0.0.0", help="where to listen [%(default)s]")
    add("--secure-port", type=int, default=6443, help="the HTTPS port; 0: any [%(default)s]")
    add("--tls-cert-file", type=Path, required=True, help="the server's certificate, PEM")
    add("--tls-private-key-file", type=Path, required=True, help="its key, PEM")
    add("--client-ca-file", type=Path, help="who signs client certificates, PEM")
    add("--token-auth-file", type=Path, help='JSON: {"TOKEN": {"user": "...", "groups": [...]}}')
    add("--kubelet-certificate-authority", type=Path, help="who signs kubelets' certificates, PEM")
    add(
        "--kubelet-client-certificate",
        type=Path,
        help="what kubelets are shown, PEM; none: no logs",
    )
    add("--kubelet-client-key", type=Path, help="its key, PEM")
    add(
        "--service-cluster-ip-range",
        type=ipaddress.IPv4Network,
        default=ipaddress.IPv4Network("10.96.0.0/16"),
        help="addresses for Services [%(default)s]",
    )
    add(
        "--service-node-port-range",
        type=parse_port_range,
        default=(30000, 32767),
        metavar="FIRST-LAST",
        help="ports for Services on every node [30000-32767]",
    )
    add(
        "--advertise-address",
        type=ipaddress.IPv4Address,
        required=True,
        help="the address at which pods and nodes reach this server",
    )
    add("--data-dir", type=Path, required=True, help="where the objects are kept")
    add(
        "--watch-history",
        type=int,
        default=store.WATCH_HISTORY,
        metavar="N",
        help="changes of each kind that a watch can ask for again [%(default)s]",
    )
    add(
        "--node-monitor-grace-period",
        type=parse_duration,
        default="40s",
        metavar="DURATION",
        help="a node that is silent for so long is not ready [%(default)s]",
    )
    add("--root-ca-file", type=Path, help="for kube-root-ca.crt in every namespace, PEM")
    add(
        "--load-balancer-ip-range",
        type=pool.parse_pool,
        metavar="FIRST-LAST",
        help="addresses for Services of type LoadBalancer; none: they wait for somebody else",
    )
    add("-v", "--v", type=int, default=0, metavar="LEVEL", help="2 and more: log in detail")
    return parser.parse_args(argv)


def parse_port_range(text: str) -> tuple[int, int]:
    """Both ends belong to the range. Raises ValueError.

    >>> parse_port_range("30000-32767")
    (30000, 32767)
    """
    first, _, last = text.partition("-")
    low, high = int(first), int(last or first)
    if not 0 < low <= high < 65536:
        raise ValueError(text)
    return low, high


def parse_duration(text: str) -> float:
    """Seconds in a duration of Go's form. Raises ValueError.

    >>> parse_duration("1m30s"), parse_duration("500ms")
    (90.0, 0.5)
    """
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return sum(float(number) * units[unit] for number, unit in parts)


def _settings(args: argparse.Namespace) -> loops.Settings:
    """Raises ConfigError for a file that cannot be read."""
    from labkit.apiserver.controllers import loops

    try:
        root_ca = args.root_ca_file.read_text() if args.root_ca_file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigError(f"--root-ca-file {args.root_ca_file}: {error}") from error
    return loops.Settings(args.node_monitor_grace_period, root_ca, args.load_balancer_ip_range)


def _kubelet_client(args: argparse.Namespace) -> tuple[Path, Path] | None:
    certificate, key = args.kubelet_client_certificate, args.kubelet_client_key
    return (certificate, key or certificate) if certificate else None


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to end. 0: ended in good order; else the error's exit code."""
    args = parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        level=logging.DEBUG if args.v >= 2 else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # The server's own modules take half of its start: not before the arguments are known good.
    from labkit.apiserver import serve

    # Code and tables live as long as the process: no collection ever has to look at them.
    gc.freeze()
    try:
        serve.run(_options(args))
    except errors.LabkitError as error:
        hint = f"\n  try: {error.hint}" if error.hint else ""
        sys.stderr.write(f"kube-apiserver: {error}{hint}\n")
        return error.exit_code
    return 0


def _options(args: argparse.Namespace) -> serve.Options:
    """Raises ConfigError."""
    from labkit.apiserver import serve

    return serve.Options(
        bind_address=args.bind_address,
        port=args.secure_port,
        certificate=args.tls_cert_file,
        key=args.tls_private_key_file,
        client_ca=args.client_ca_file,
        token_file=args.token_auth_file,
        kubelet_ca=args.kubelet_certificate_authority,
        kubelet_client=_kubelet_client(args),
        ranges=allocation.Ranges(args.service_cluster_ip_range, args.service_node_port_range),
        advertise_address=args.advertise_address,
        data_dir=args.data_dir,
        watch_history=args.watch_history,
        controllers=_settings(args),
    )
