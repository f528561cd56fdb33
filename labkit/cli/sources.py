"""Where an inspection reads: the lab, a node of any cluster over SSH, or a saved rule set."""

from __future__ import annotations

import sys
from pathlib import Path

from labkit import errors
from labkit.cli import output
from labkit.inspection.hosts import Host
from labkit.inspection.layers import look
from labkit.inspection.layers import report as layer_report
from labkit.inspection.modes import report as modes_report

#: What only a live node can say.
LIVE = ("conntrack", "sockets", "connections", "node")


def from_host(host: Host, layer: str, service: str, chain: str) -> output.Showable:
    """Look at a node and nothing else: no API server is asked."""
    return _show(look.ask(host, layer), layer, service, chain)


def from_file(path: str, layer: str, service: str, chain: str) -> output.Showable:
    if layer in LIVE:
        raise errors.UsageError(
            f"a saved rule set says nothing about {layer}", hint="it has chains, rules, endpoints"
        )
    seen = look.from_text("stdin" if path == "-" else path, _read(path))
    return _show(seen, layer, service, chain)


def _show(seen: look.Look, layer: str, service: str, chain: str) -> output.Showable:
    if layer != "service":
        return layer_report.inspect_layer([seen], layer, chain=chain)
    if "rules" not in seen.sections or "rules" in seen.trouble:
        raise errors.NotSupported(
            seen.trouble or "there are no rules",
            hint="the user has to be root, or may `sudo -n iptables-save`",
            node=seen.name,
        )
    found = modes_report.inspect_rules(
        seen.rules, name=seen.name, service=service, listening=seen.sockets
    )
    if service and not found.ports:
        raise errors.NothingMatched(
            f"the rules of {seen.name} know no Service {service}",
            hint="`labkit inspect endpoints` with the same options lists those that they know",
        )
    return found


def _read(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(
            f"cannot read {path}: {error}", hint="save one by `iptables-save -c > rules.txt`"
        ) from error
