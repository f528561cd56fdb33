"""The programs that speak to the kernel's rules: iptables-save and iptables-restore.

The only module of the agent that runs other programs. Reading takes one, changing one more, however
many rules there are; and what nobody has changed since is not read again (`generation`).
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from labkit import errors
from labkit.agent import batch, conntrack, generation
from labkit.model import rules, ruletext

log = logging.getLogger(__name__)

#: iptables waits so long for another iptables to let go of the lock that old kernels need.
LOCK_WAIT_S = 5
#: A program that takes longer has met trouble: 10,000 Services take less than one second.
TIMEOUT_S = 60
_SAVE = ("iptables-save",)
_RESTORE = ("iptables-restore", "--noflush", "-w", str(LOCK_WAIT_S))


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ran to its end."""

    exit_status: int
    stdout: str
    stderr: str


Run = Callable[[Sequence[str], str], Finished]


def run_program(argv: Sequence[str], stdin: str) -> Finished:
    """Raises CommandFailed for a program that is missing or does not end."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, encoding="utf-8", timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise errors.CommandFailed(
            argv, 127, "it is not installed", hint="apt-get install iptables"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise errors.CommandFailed(argv, 124, f"no end in {TIMEOUT_S} s") from error
    return Finished(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Known:
    """What is ours of the rules, as it was at one generation of them."""

    generation: int
    ruleset: rules.Ruleset


class Kernel:
    """The rules of this network namespace. Every method may take as long as a program takes."""

    def __init__(
        self, run: Run = run_program, read_generation: Callable[[], int | None] = generation.read
    ) -> None:
        self._run = run
        self._read_generation = read_generation
        self._known: Known | None = None
        self._counted = False

    def save(self) -> rules.Ruleset:
        return ruletext.parse_ruleset(self._checked(_SAVE, "").stdout)

    def restore(self, text: str) -> None:
        """Apply a batch, each table wholly or not at all. Raises CommandFailed."""
        self._checked(_RESTORE, text)

    def apply(self, wanted: Mapping[str, Sequence[rules.Rule]]) -> bool:
        """Make our chains hold the wanted rules. Returns whether anything had to change."""
        before = self._read_generation()
        known, self._known = self._known, None
        current = known.ruleset if known and known.generation == before else self.save()
        text = batch.plan_batch(wanted, current)
        if text:
            self.restore(text)
        self._remember(wanted, before, commits=text.count("COMMIT\n"))
        return bool(text)

    def _remember(
        self, wanted: Mapping[str, Sequence[rules.Rule]], before: int | None, *, commits: int
    ) -> None:
        """Know what is there now, if nobody else has changed anything since `before`.

        iptables-legacy is not counted. So a number that stands still means nothing until ours have
        been seen to move it.
        """
        after = self._read_generation()
        if before is None or after != before + commits:
            return
        self._counted = self._counted or commits > 0
        if self._counted:
            self._known = Known(after, batch.settled(wanted))

    def is_flushed(self) -> bool:
        """True when somebody has emptied the table that holds our rules."""
        if self._known and self._known.generation == self._read_generation():
            return False
        return batch.is_flushed(self.save())

    def clean_up(self) -> bool:
        """Remove our chains and jumps. Returns whether there were any."""
        text = batch.plan_cleanup(self.save())
        if text:
            self.restore(text)
        return bool(text)

    def forget_udp_flows(self, portals: Mapping[conntrack.Address, int]) -> None:
        """Let UDP clients of these portals meet the rules anew, if they are led elsewhere (US-70).

        Not being able to is no reason to stop: it is only told.
        """
        try:
            count = conntrack.forget_udp_flows(portals)
        except OSError as error:
            log.warning("UDP clients may be led to former proxy ports for a while: %s", error)
            return
        if count:
            log.info("forgot %d UDP flows that were led elsewhere", count)

    def _checked(self, argv: Sequence[str], stdin: str) -> Finished:
        done = self._run(argv, stdin)
        if done.exit_status:
            raise errors.CommandFailed(argv, done.exit_status, done.stderr)
        return done
