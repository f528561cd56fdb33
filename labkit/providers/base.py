"""What every provider can do. From the first SSH banner on, all code is the same for each."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from labkit.model import events
from labkit.ssh import endpoint

MachineState = Literal["running", "stopped", "absent"]


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine as it is now. `detail` says more about a state that is not `running`."""

    name: str
    state: MachineState
    detail: str = ""


class Provider(Protocol):
    """The machines of one lab. Every method is idempotent and works after any crash."""

    def ensure(self, progress: events.Progress) -> tuple[str, ...]:
        """Make every machine of the lab run; return the names of those that were (re)started.

        Machines that run already are not disturbed; machines that the lab no longer has are
        ended. Raises ProviderError or NotSupported.
        """

    def machines(self) -> tuple[Machine, ...]:
        """Every machine of the lab in the order of the lab file. Never raises for a dead lab."""

    def stop(self, names: Sequence[str] = ()) -> None:
        """End these machines (none named: all) and keep their disks."""

    def purge(self) -> None:
        """End all machines and forget their disks."""

    def endpoint(self, name: str) -> endpoint.Endpoint:
        """How to reach the sshd of one machine. Raises NothingMatched for an unknown name."""

    def dial(self, host: str, port: int) -> socket.socket:
        """A connected socket to (host, port) as seen from the learner's machine in the lab.

        Raises ConnectionFailed.
        """

    def within(self, argv: Sequence[str]) -> tuple[str, ...]:
        """`argv` such that a program on the learner's machine reaches the lab's network."""
