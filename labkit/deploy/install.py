"""Make machines run what they must: look at each once, mend once what differs.

Both commands are shell text that one can read (node.sh) and run by hand. Files travel as one tar
stream on the second command's stdin, only those that differ, and take their names when all are
there.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit import errors
from labkit.deploy import plan, services
from labkit.deploy.services import File
from labkit.model import commands, events
from labkit.ssh import files
from labkit.ssh.connection import Connection
from labkit.ssh.pool import Pool

#: A full copy of everything over a slow line, and every unit stopped first.
_MEND_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Ensured:
    """What was done on a node, one line per thing, and its units as they were right after that."""

    did: tuple[str, ...]
    units: Mapping[str, plan.UnitState]


def ensure_services(
    pool: Pool, wanted: services.Plan, progress: events.Progress | None = None
) -> dict[str, Ensured]:
    """Make every node run its units.

    Nodes are mended side by side. Raises ProviderError (a disk that is full, ...), CommandFailed
    and ConnectionFailed with the node's name; the other nodes are mended nevertheless.
    """

    def ensure(node: Connection) -> Ensured:
        units = wanted[node.name]
        found = look(node, plan.paths_of(units))
        changes = plan.plan_changes(units, found)
        if not changes:
            return Ensured((), found.units)
        if progress:
            names = ", ".join(unit.name for unit in changes.start) or "what is to go"
            progress.waiting(names, node=node.name)
        return Ensured(plan.explain_changes(changes, found), apply_changes(node, changes).units)

    return pool.map(wanted, ensure)


def look(node: Connection, paths: Sequence[str] = ()) -> plan.Found:
    """See which units run on a node, and what `paths` hold."""
    return plan.parse_found(node.script(_shell('look "$@"'), args=paths).stdout)


def apply_changes(node: Connection, changes: plan.Changes) -> plan.Found:
    """Make them, and look again: all in one command."""
    text = _shell(f"{plan.render_changes(changes)}look\n")
    stdin = pack(changes.place) if changes.place else b""
    done = node.script(text, stdin=stdin, timeout_s=_MEND_TIMEOUT_S, check=False)
    if done.exit_status:
        raise _explain(node.name, done)
    return plan.parse_found(done.stdout)


def unit_states(pool: Pool, names: Sequence[str]) -> dict[str, dict[str, plan.UnitState]]:
    """The units of each node that answers, by name. A node that does not answer has none."""

    def states(node: Connection) -> dict[str, plan.UnitState]:
        try:
            return dict(look(node).units)
        except (errors.ConnectionFailed, errors.TimedOut):
            return {}

    return pool.map(names, states)


def stop_units(pool: Pool, names: Sequence[str], units: Sequence[str] = ()) -> None:
    """Stop these units (none named: all of ours) on each node; they stay installed."""

    def stop(node: Connection) -> None:
        targets = units or tuple(look(node).units)
        lines = "".join(f"stop {unit}\n" for unit in targets)
        node.script(_shell(f"alone\n{lines}"), timeout_s=_MEND_TIMEOUT_S)

    pool.map(names, stop)


def uninstall(pool: Pool, names: Sequence[str]) -> None:
    """Stop all units of ours on each node and remove every file that labkit put there."""
    text = _shell("alone\nremove_all\n")
    pool.map(names, lambda node: node.script(text, timeout_s=_MEND_TIMEOUT_S))


def pack(place: Mapping[str, File]) -> bytes:
    """A tar stream in which each file waits beside the place where it belongs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, file in place.items():
            info = tarfile.TarInfo(f"{path.lstrip('/')}.labkit-new")
            info.size, info.mode = len(file.content), file.mode
            archive.addfile(info, io.BytesIO(file.content))
    return buffer.getvalue()


def _shell(text: str) -> str:
    return (Path(__file__).parent / "node.sh").read_text() + text


def _explain(node: str, done: commands.Command) -> errors.LabkitError:
    path = re.search(r"tar: (\S+?)(\.labkit-new)?: ", done.stderr)
    if path:
        return files.explain_failure(node, "/" + path[1].lstrip("/"), done)
    last = " ".join(done.stderr.strip().splitlines()[-3:]) or f"status {done.exit_status}"
    if done.exit_status == 75:
        return errors.Busy(last, hint="wait for it to end, then try again", node=node)
    return errors.ProviderError(
        f"the node's programs could not be started: {last}",
        hint=f"`labkit logs {node}/podlet` shows what it said, and so for each of them",
        node=node,
    )
