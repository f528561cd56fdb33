"""Where a machine's sshd is and how it is recognised: what a provider knows, and SSH needs."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

#: Opens a TCP connection to (host, port), wherever that has to be done from.
Dial = Callable[[str, int], socket.socket]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One sshd. `host_key` is its public key as in authorized_keys: `ssh-ed25519 AAAA...`."""

    name: str
    host: str
    port: int
    user: str
    host_key: str
    private_key: Path
    dial: Dial = field(repr=False)
    #: The ProxyCommand by which OpenSSH's own client gets there; empty where it needs none.
    proxy_command: str = ""
