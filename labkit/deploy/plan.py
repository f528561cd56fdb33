"""The difference between what must run on a machine and what is found there.

    wanted units ─┐
                  ├─▶ plan_changes ─▶ files to place, units to stop, units to start
    found state  ─┘

A file is placed when its hash or its mode differs. A unit is started when it does not run, when it
runs another revision, or when one of its files had to be placed. A unit of ours that is not wanted
any more is removed. A machine that is as it should be is not asked for any change.
"""

from __future__ import annotations

import shlex
import string
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from labkit.deploy import services
from labkit.deploy.services import File, Unit

Init = Literal["systemd", "none"]
State = Literal["running", "restarting", "stopped"]

SUPERVISE = f"{services.BIN}/supervise.sh"
#: Ticks of /proc/PID/stat in a second: 100 on every Linux that Python runs on.
_TICKS = 100


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit as it is. `since` is when its process began, in seconds since 1970."""

    name: str
    state: State
    pid: int = 0
    since: float = 0.0
    restarts: int = 0
    revision: str = ""
    #: When its process began, as `BOOT/TICKS`; where none runs, the soonest that the next one may.
    began: str = ""

    def __str__(self) -> str:
        return self.state


@dataclass(frozen=True, slots=True)
class Found:
    """A machine as `look` found it. `files` maps each path that exists to its mode and hash."""

    init: Init
    units: Mapping[str, UnitState] = field(default_factory=dict)
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What makes a machine right. Empty (and false) where it is."""

    place: Mapping[str, File]
    remove: tuple[str, ...]
    start: tuple[Unit, ...]

    def __bool__(self) -> bool:
        return bool(self.place or self.remove or self.start)


def parse_found(text: str, *, now: float | None = None) -> Found:
    """Read what `look` in node.sh writes. `now` is the time at which it looked."""
    now = time.time() if now is None else now
    init: Init = "none"
    boot, uptime = "", 0.0
    units: dict[str, UnitState] = {}
    modes: dict[str, int] = {}
    hashes: dict[str, str] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "init":
            init = "systemd" if rest == "systemd" else "none"
        elif word == "boot":
            boot, _, up = rest.partition(" ")
            uptime = float(up)
        elif word == "unit":
            unit = _parse_unit(rest.split(" "), boot, uptime, now - uptime)
            units[unit.name] = unit
        elif word == "mode":
            mode, _, path = rest.partition(" ")
            modes[path] = int(mode, 8)
        elif rest:
            hashes[rest[1:]] = word  # sha256sum puts a second blank before the name
    files = {path: (modes[path], digest) for path, digest in hashes.items() if path in modes}
    return Found(init, units, files)


def _parse_unit(words: Sequence[str], boot: str, uptime: float, booted: float) -> UnitState:
    name, state, pid, ticks, restarts, revision = words
    soonest = f"{boot}/{int(uptime * _TICKS)}"
    if state not in ("running", "restarting"):
        return UnitState(name, "stopped", 0, 0.0, int(restarts), revision, soonest)
    running: State = "running" if state == "running" else "restarting"
    since = booted + int(ticks) / _TICKS if int(ticks) else 0.0
    began = f"{boot}/{ticks}" if running == "running" else soonest
    return UnitState(name, running, int(pid), since, int(restarts), revision, began)


def plan_files(unit: Unit, init: Init) -> dict[str, File]:
    """All files of a unit, with what starts it: the service, or the supervisor."""
    if init == "systemd":
        return {**unit.files, _service_path(unit.name): File(render_service(unit).encode())}
    return {**unit.files, SUPERVISE: File(_own("supervise.sh").encode(), 0o755)}


def paths_of(units: Sequence[Unit]) -> list[str]:
    """Every path that may matter on a machine of which nothing is known yet."""
    paths = {SUPERVISE, *(_service_path(unit.name) for unit in units)}
    return sorted(paths.union(*(unit.files for unit in units)))


def plan_changes(wanted: Sequence[Unit], found: Found) -> Changes:
    place: dict[str, File] = {}
    start = []
    for unit in wanted:
        files = plan_files(unit, found.init)
        wrong = {path: file for path, file in files.items() if not _is_there(path, file, found)}
        place |= wrong
        if wrong or not _is_right(unit, found.units.get(unit.name)):
            start.append(unit)
    names = {unit.name for unit in wanted}
    remove = tuple(name for name in found.units if name not in names)
    return Changes(place, remove, tuple(start))


def explain_changes(changes: Changes, found: Found) -> tuple[str, ...]:
    """One line for each thing that is done."""
    running = {name for name, unit in found.units.items() if unit.state == "running"}
    return (
        *(f"copied {path}" for path in changes.place),
        *(f"removed {name}" for name in changes.remove),
        *(f"{_verb(unit.name in running)} {unit.name}" for unit in changes.start),
    )


def render_changes(changes: Changes) -> str:
    """The lines of shell that make them, to be read after node.sh. Files come on stdin."""
    lines = ["alone"]
    if changes.place:
        lines.append(shlex.join(("place", *changes.place)))
    lines += [shlex.join(("remove", name)) for name in changes.remove]
    lines += [shlex.join(("start", unit.name, unit.revision, *unit.argv)) for unit in changes.start]
    lines += ["settle"] if changes.start or changes.remove else []
    return "\n".join(lines) + "\n"


def render_service(unit: Unit) -> str:
    """The unit for systemd, which has rules of its own for quotes, percent and dollar signs."""
    command = " ".join(_quote(word) for word in unit.argv)
    template = string.Template(_own("unit.service"))
    return template.substitute(name=unit.name, command=command, revision=unit.revision)


def _quote(word: str) -> str:
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{safe}"' if any(each in word for each in " \"'\\;") or not word else safe


def _verb(was_running: bool) -> str:  # noqa: FBT001
    return "restarted" if was_running else "started"


def _is_there(path: str, file: File, found: Found) -> bool:
    return found.files.get(path) == (file.mode, file.digest)


def _is_right(unit: Unit, found: UnitState | None) -> bool:
    return found is not None and (found.state, found.revision) == ("running", unit.revision)


def _service_path(name: str) -> str:
    return f"/etc/systemd/system/labkit-{name}.service"


def _own(name: str) -> str:
    return (Path(__file__).parent / name).read_text()
