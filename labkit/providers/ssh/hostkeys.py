"""The host key that the learner's own known_hosts has. An unknown one is never taken on trust."""

from __future__ import annotations

from pathlib import Path

from labkit import errors, local
from labkit.model import spec

#: What labkit's SSH agrees on, the best first.
TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ssh-rsa")


def find_host_key(host: spec.HostSpec, known_hosts: Path) -> str:
    """`ssh-ed25519 AAAA...`. Raises ConnectionFailed for a host that is not in the file."""
    if host.host_key:
        return host.host_key
    place = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    argv = ["ssh-keygen", "-F", place, "-f", str(known_hosts)]
    said = local.run(argv, check=False).stdout if known_hosts.exists() else ""
    if key := parse_found(said):
        return key
    port = "" if host.port == 22 else f"-p {host.port} "
    raise errors.ConnectionFailed(
        f"the host key of {place} is not in {known_hosts}",
        hint=f"`ssh-keyscan {port}{host.address} >>{known_hosts}`, once you have compared it with "
        "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host; or say hosts.host_key",
        node=host.name,
    )


def parse_found(text: str) -> str:
    """The best key in what `ssh-keygen -F` prints: comments, and lines of `host type key`."""
    lines = [line.split() for line in text.splitlines() if not line.startswith(("#", "@"))]
    keys = {words[1]: words[2] for words in reversed(lines) if len(words) > 2}
    return next((f"{kind} {keys[kind]}" for kind in TYPES if kind in keys), "")
