"""What every provider can do. From the first SSH banner on, all code is the same for each."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from labkit import errors
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

    def start(self, names: Sequence[str], progress: events.Progress) -> tuple[str, ...]:
        """Make these machines run and leave the others as they are; return those started."""

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

    def snapshot_save(self, name: str) -> None:
        """Keep disks and memory of all machines as they are now. Raises NotSupported."""

    def snapshot_restore(self, name: str) -> None:
        """Go back to a snapshot, with clocks set right. Raises NotSupported, NothingMatched."""

    def snapshots(self) -> tuple[str, ...]:
        """The names of all snapshots. Raises NotSupported."""

    def snapshot_delete(self, name: str) -> None:
        """Forget one. Raises NotSupported, NothingMatched."""


class Borrowed:
    """What a provider inherits whose machines are somebody else's to switch on and off."""

    name = ""

    def held(self) -> tuple[str, ...]:
        """The machines that answer and that this lab has: what is on them is to be taken away."""
        raise NotImplementedError

    def former(self) -> tuple[str, ...]:
        """Those of them that the lab file does not name any more."""
        raise NotImplementedError

    def give_back(self, names: Sequence[str]) -> None:
        """Leave machines, from which what was put there has been taken, as they were found."""
        raise NotImplementedError

    def _no_power(self, verb: str, names: Sequence[str]) -> errors.NotSupported:
        return errors.NotSupported(
            f"the provider {self.name} cannot {verb} {', '.join(names)}: hosts are switched on and "
            "off by whoever lends them",
            hint="`labkit up` mends what runs on them, `labkit down` gives all of them back",
        )


class NoSnapshots:
    """What a provider inherits whose machines cannot be kept as they are; `name` is its own."""

    name = ""

    def snapshot_save(self, name: str) -> None:
        raise self._refusal(name)

    def snapshot_restore(self, name: str) -> None:
        raise self._refusal(name)

    def snapshot_delete(self, name: str) -> None:
        raise self._refusal(name)

    def snapshots(self) -> tuple[str, ...]:
        raise self._refusal()

    def _refusal(self, name: str = "") -> errors.NotSupported:
        return no_snapshots(self.name, name)


def no_snapshots(provider: str, name: str = "") -> errors.NotSupported:
    """What is said of a provider that keeps no machine as it is."""
    which = f"cannot have {name}: it" if name else "has no snapshots: it"
    return errors.NotSupported(
        f"the provider {provider} {which} keeps no machine's memory",
        hint="`labkit up --provider vagrant` makes machines that have, with libvirt or VirtualBox",
    )
