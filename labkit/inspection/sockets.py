"""Who listens where on a node: the text of `ss -Hltnup`, and the command line of each process.

    tcp LISTEN 0 4096 *:40193 *:* users:(("python3",pid=27,fd=3))

`*` is every address of both families. kube-proxy holds one such socket for each port of each
Service (the proxy port), and one for each nodePort, which it only keeps from others: the rules
turn a nodePort's packets away before they could get there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_LINE = re.compile(
    r"(?P<protocol>tcp|udp)\s+\S+\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+"
    r'(?:\s+users:\(\("(?P<process>.*?)",pid=(?P<pid>\d+))?'
)
_PROCESS = re.compile(r"(?P<pid>\d+) (?P<command>.*)")


@dataclass(frozen=True, slots=True)
class Socket:
    """A listening socket. Without the right to look, `process` is empty and `pid` 0."""

    protocol: str
    address: str
    port: int
    process: str = ""
    pid: int = 0
    command: str = ""

    @property
    def program(self) -> str:
        """What runs: an interpreter is named by its script, `kube-proxy` and not `python3`."""
        words = self.command.split()[1:] if self.process.startswith("python") else []
        script = next((word for word in words if not word.startswith("-")), "")
        name = PurePosixPath(script).name.removesuffix(".pyz").removesuffix(".py")
        return name or self.process

    @property
    def owner(self) -> str:
        """Who holds the socket, for people.

        >>> Socket("tcp", "*", 40193, "python3", 27, "/usr/bin/python3 kube-proxy.pyz").owner
        'kube-proxy (python3, pid 27)'
        """
        if not self.pid:
            return "an unknown process"
        if self.program == self.process:
            return f"{self.process} (pid {self.pid})"
        return f"{self.program} ({self.process}, pid {self.pid})"


def parse_sockets(text: str, processes: str = "") -> tuple[Socket, ...]:
    """Read what `ss -Hltnup` printed; lines about anything but TCP and UDP are left out.

    `processes` has a line for each process: its pid and its command line.
    """
    commands = {
        int(found["pid"]): found["command"].strip()
        for line in processes.splitlines()
        if (found := _PROCESS.fullmatch(line))
    }
    matches = (_LINE.match(line) for line in text.splitlines())
    return tuple(_socket(found, commands) for found in matches if found)


def find_listener(sockets: Iterable[Socket], protocol: str, port: int) -> Socket | None:
    """The first socket that takes what comes for `port`, whatever its address."""
    for socket in sockets:
        if socket.protocol == protocol.lower() and socket.port == port:
            return socket
    return None


def _socket(found: re.Match[str], commands: dict[int, str]) -> Socket:
    pid = int(found["pid"] or 0)
    return Socket(
        found["protocol"],
        found["address"],
        int(found["port"]),
        found["process"] or "",
        pid,
        commands.get(pid, ""),
    )
