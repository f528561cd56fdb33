"""A node of any cluster, read over SSH as its owner would: with OpenSSH's own client.

The client knows the learner's keys, agent, known hosts, jump hosts and `~/.ssh/config`; labkit
asks it for nothing more than to run the script that only reads. Nothing is written on the node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit import errors, local
from labkit.model import commands

#: How long the handshake may take.
CONNECT_S = 15
#: What ssh itself ends with when it could not connect; any other status is the script's.
_SSH_FAILED = 255


@dataclass(frozen=True, slots=True)
class Host:
    """`destination` is as ssh takes it: `user@node`, or a name of ~/.ssh/config."""

    destination: str
    config: str = ""

    @property
    def name(self) -> str:
        return self.destination.rpartition("@")[2]

    @property
    def argv(self) -> tuple[str, ...]:
        """BatchMode: a question that nobody sees would wait for ever."""
        config = ("-F", self.config) if self.config else ()
        options = ("-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_S}")
        return ("ssh", *config, *options, "--", self.destination, "sh", "-s")

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 60, check: bool = True
    ) -> commands.Command:
        """Run a program of the host; not as root."""
        words = (*self.argv[:-2], *argv)
        return self._explained(local.run(words, timeout_s=timeout_s, check=False), check=check)

    def script(self, text: str, *, check: bool = True) -> commands.Command:
        """Run `text` by the host's sh. Raises ConnectionFailed, and CommandFailed with `check`."""
        return self._explained(local.run(self.argv, stdin=text, check=False), check=check)

    def _explained(self, done: commands.Command, *, check: bool) -> commands.Command:
        last = (done.stderr.strip().splitlines() or ["ssh gave no reason"])[-1]
        if done.exit_status == _SSH_FAILED:
            raise errors.ConnectionFailed(
                f"no SSH connection to {self.destination}: {last}",
                hint=f"`ssh {self.destination} true` has to work without a question",
                node=self.name,
            )
        if check and done.exit_status:
            raise errors.CommandFailed(done.argv, done.exit_status, done.stderr, node=self.name)
        return done
