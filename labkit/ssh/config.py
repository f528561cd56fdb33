"""The lab's nodes for OpenSSH's own programs: `ssh -F config node1`, `scp -F config ...`.

A node is known by its name, not by its address (HostKeyAlias): many labs use the same addresses.
Nothing outside the lab's own folder is read or written.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labkit.ssh.endpoint import Endpoint


def render_ssh_config(endpoints: Iterable[Endpoint], known_hosts_path: Path) -> str:
    """Write a `Host` block for each node. Paths may hold blanks and percent signs."""
    return "\n".join(_host(each, known_hosts_path) for each in endpoints)


def render_known_hosts(endpoints: Iterable[Endpoint]) -> str:
    """Write each node's host key, by the node's name."""
    return "".join(f"{each.name} {' '.join(each.host_key.split()[:2])}\n" for each in endpoints)


def _host(endpoint: Endpoint, known_hosts_path: Path) -> str:
    options = {
        "HostName": endpoint.host,
        "Port": str(endpoint.port),
        "User": endpoint.user,
        "IdentityFile": _path(endpoint.private_key),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PasswordAuthentication": "no",
        "HostKeyAlias": endpoint.name,
        "HostKeyAlgorithms": _algorithms(endpoint.host_key.split()[0]),
        "UserKnownHostsFile": _path(known_hosts_path),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "LogLevel": "ERROR",
    }
    if endpoint.proxy_command:
        # The command hands over an open socket and ends: no process stays in between.
        options |= {"ProxyCommand": endpoint.proxy_command, "ProxyUseFdpass": "yes"}
    lines = [f"  {keyword} {value}" for keyword, value in options.items()]
    return "\n".join([f"Host {endpoint.name}", *lines]) + "\n"


def _path(path: Path) -> str:
    """A path as ssh_config wants it: quoted for its blanks, its percent signs not expanded."""
    return '"{}"'.format(str(path).replace("%", "%%"))


def _algorithms(key_type: str) -> str:
    return "rsa-sha2-512,rsa-sha2-256" if key_type == "ssh-rsa" else key_type
