"""Is the API server there? Asked on the machines themselves: the control node's, or each node's.

Each question is one command, which returns when it is known how it went.
"""

from __future__ import annotations

import ipaddress
import json
import shlex
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from labkit import errors
from labkit.client import config as client_config
from labkit.client import wire
from labkit.deploy import ready, services
from labkit.model import spec
from labkit.ssh.connection import Connection
from labkit.ssh.pool import Pool

#: How many last lines of a log tell why a program ended.
_LINES = 12


def wait_for_api(
    pool: Pool, lab: spec.LabSpec, *, timeout_s: float = 30, port: int = spec.API_PORT
) -> None:
    """Return when the API server answers on its own machine.

    Raises ProviderError with the last lines of its log when it ends instead, TimedOut otherwise.
    """
    node = pool.connection(lab.control.name)
    wait_for_unit(node, services.API_SERVER, port=port, timeout_s=timeout_s)


def wait_for_unit(node: Connection, unit: str, *, port: int, timeout_s: float) -> None:
    text = (Path(__file__).parent / "ready.py").read_text()
    ca_file = f"{services.ETC}/pki/ca.crt"
    argv = (*services.PYTHON, "-c", text, str(port), ca_file, unit, f"{timeout_s:g}")
    done = node.run(argv, timeout_s=timeout_s + 10, check=False)
    if done.exit_status == ready.READY:
        return
    if done.exit_status == ready.LATE:
        raise errors.TimedOut(
            f"{unit} runs, but did not answer on port {port} within {timeout_s:g} s",
            hint=f"`labkit logs {node.name}/{unit}` shows what it does",
            node=node.name,
        )
    if done.exit_status != ready.ENDED:
        raise errors.CommandFailed(argv[:4], done.exit_status, done.stderr, node=node.name)
    raise errors.ProviderError(
        f"{unit} ended while it was to start. Its last words:\n{last_words(node, unit)}",
        hint=f"`labkit logs {node.name}/{unit}` shows all of them",
        node=node.name,
    )


def check_reach(pool: Pool, names: Sequence[str], config: client_config.ClientConfig) -> None:
    """Try from each of these nodes to reach an API server. Raises ConnectionFailed, with a node."""
    host, port = wire.address(config)
    secure = urllib.parse.urlsplit(config.server).scheme != "http"
    name = (config.server_name or host) if secure else ""
    asked = {"host": host, "port": port, "name": name, "ca_pem": config.ca_pem}
    text = (Path(__file__).parent / "reach.py").read_text()
    argv = (*services.PYTHON, "-c", text)

    def check(node: Connection) -> None:
        done = node.run(argv, stdin=json.dumps(asked), timeout_s=30, check=False)
        if done.exit_status == 1 and done.stdout:
            raise errors.ConnectionFailed(
                f"the API server {host}:{port} cannot be reached: {done.stdout}",
                hint=_explain_address(host),
                node=node.name,
            )
        if done.exit_status:
            raise errors.CommandFailed(argv[:4], done.exit_status, done.stderr, node=node.name)

    pool.map(names, check)


def _explain_address(host: str) -> str:
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback:
        return f"{host} is each node itself: the kubeconfig has to say the server's own address"
    return "the kubeconfig has to say an address at which every node reaches the server"


def last_words(node: Connection, unit: str) -> str:
    """The end of a unit's log, without what the supervisor says about it."""
    path = shlex.quote(services.log_path(unit))
    text = f"grep -v '^supervise: ' {path} | tail -n {_LINES}"
    return node.script(text, check=False).stdout.strip() or "(none)"
