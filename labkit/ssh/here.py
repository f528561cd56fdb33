"""The learner's own machine in the part of a node: commands run here, as the learner, without SSH.

Where the nodes' network is reached from here, this machine is the client outside of the cluster.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import errors
from labkit.model import commands
from labkit.ssh.connection import Connection
from labkit.ssh.endpoint import Endpoint

if TYPE_CHECKING:
    from labkit.ssh import stream as streams


class Here(Connection):
    """A connection that is none: same words, same record, another way to get there."""

    def __init__(self, name: str, log: commands.CommandLog) -> None:
        super().__init__(Endpoint(name, "", 0, "", "", Path(), _dial), log)

    def _exchange(
        self, argv: Sequence[str], stdin: str | bytes, timeout_s: float
    ) -> tuple[int, str, str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            done = subprocess.run(
                list(argv), input=data, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise errors.TimedOut(
                f"`{argv[0]}` did not end within {timeout_s:g} s", node=self.name
            ) from error
        except OSError as error:  # as a shell says it
            return 127, "", f"{argv[0]}: {error.strerror}\n"
        return (
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def _open_stream(self, argv: Sequence[str]) -> streams.Stream:
        from labkit.ssh import stream

        return stream.Here(argv)


def _dial(host: str, port: int) -> socket.socket:
    raise errors.NotSupported(f"this machine itself is not reached over SSH ({host}:{port})")
