"""What the podlet remembers of its pods, one file each, so that a restart finds them again.

A process is named by its pid and the kernel's clock tick at which it began: pids are used again,
the pair never is. Everything here is a value: a change makes a new one, which is then saved.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pathlib
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """One process of a container, from its start to its end. Times are seconds since 1970."""

    id: str
    image: str
    pid: int
    ticks: int
    started: float
    finished: float = 0.0
    exit_code: int = 0

    @property
    def is_over(self) -> bool:
        return self.finished > 0


@dataclass(frozen=True, slots=True)
class Container:
    """One container: its current or latest run, the one before, and why it does not run now.

    `retry_at` is when it may be started (again); `refusals` counts how often it could not be.
    `kill_at` is set once it was asked to end: it has until that moment, and is then `killed`.
    """

    name: str
    restarts: int = 0
    run: Run | None = None
    last: Run | None = None
    ready: bool = False
    reason: str = "ContainerCreating"
    message: str = ""
    retry_at: float = 0.0
    refusals: int = 0
    kill_at: float = 0.0
    killed: bool = False

    @property
    def is_running(self) -> bool:
        return self.run is not None and not self.run.is_over

    @property
    def live_run(self) -> Run:
        """The run of a container that runs."""
        assert self.run is not None
        return self.run


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of this node. Without an address it has no namespace: not yet, or no more."""

    uid: str
    namespace: str
    name: str
    created: float
    containers: tuple[Container, ...]
    address: IPv4Address | None = None
    last_address: IPv4Address | None = None

    @property
    def netns(self) -> str:
        """The name that `ip netns` shows."""
        return f"{self.namespace}_{self.name}"

    @property
    def veth(self) -> str:
        """The node's end of the pod's wire: 12 of the 15 characters that a name may have."""
        return "lk" + self.uid.replace("-", "")[:10]

    def container(self, name: str) -> Container:
        return next(container for container in self.containers if container.name == name)

    def with_container(self, changed: Container) -> Pod:
        return dataclasses.replace(
            self,
            containers=tuple(
                changed if container.name == changed.name else container
                for container in self.containers
            ),
        )


def render_pod(pod: Pod) -> str:
    return json.dumps(dataclasses.asdict(pod), default=str)


def parse_pod(text: str) -> Pod:
    """Read what `render_pod` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    fields = json.loads(text)
    fields["containers"] = tuple(_parse_container(each) for each in fields["containers"])
    for name in ("address", "last_address"):
        fields[name] = IPv4Address(fields[name]) if fields[name] else None
    return Pod(**fields)


def _parse_container(fields: dict[str, Any]) -> Container:
    for name in ("run", "last"):
        fields[name] = Run(**fields[name]) if fields[name] else None
    return Container(**fields)


def save(folder: pathlib.Path, pod: Pod) -> None:
    """Write whole or not at all: a reader never meets half a file."""
    path = folder / f"{pod.uid}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(render_pod(pod))
    fresh.rename(path)


def forget(folder: pathlib.Path, uid: str) -> None:
    for path in folder.glob(f"{uid}.*"):
        path.unlink(missing_ok=True)


def forget_all(folder: pathlib.Path) -> None:
    """Remove the folder with everything that pods have in it."""
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()


def load(folder: pathlib.Path) -> tuple[Pod, ...]:
    """Every pod that was saved. A file that cannot be read is reported and dropped."""
    pods = []
    for path in sorted(folder.glob("*.json")):
        try:
            pods.append(parse_pod(path.read_text()))
        except (ValueError, KeyError, TypeError, OSError) as error:
            log.warning("%s cannot be read and is dropped: %s", path, error)
            path.unlink(missing_ok=True)
    return tuple(pods)


def ticks_of(pid: int) -> int:
    """The clock tick at which the process began; 0 when there is none with this pid."""
    return _stat(pid)[1]


def is_alive(run: Run) -> bool:
    """True while the run's own process runs: not a zombie, not another that got its pid."""
    status, ticks = _stat(run.pid)
    return not run.is_over and ticks == run.ticks and status not in (b"Z", b"X")


def _stat(pid: int) -> tuple[bytes, int]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - the cheapest way to read
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return b"X", 0
    return fields[0], int(fields[19])


def exit_file(folder: pathlib.Path, uid: str, run_id: str) -> str:
    """Where a container's init leaves the exit status, perhaps for another podlet to read."""
    return os.fspath(folder / f"{uid}.{run_id[:12]}.exit")
