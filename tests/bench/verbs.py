"""What the commands take, from typing them to their end, the interpreter's start included."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PASS = (sys.executable, "-c", "pass")


@dataclass(frozen=True, slots=True)
class Runs:
    """The same command a few times: seconds, in the order of the runs."""

    what: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "median": self.median, "seconds": list(self.seconds)}


def measure(name: str, runs: int) -> tuple[list[Runs], list[Runs]]:
    """Take a lab from nothing and back, `runs` times; return the commands and the steps of `up`.

    The lab of the last run is left running, for what else there is to measure.
    """
    taken: dict[str, list[float]] = {}
    steps: dict[str, list[float]] = {}

    def note(what: str, seconds: float) -> None:
        taken.setdefault(what, []).append(seconds)

    for run in range(runs):
        if run:
            note("labkit down --purge", labkit("down", "--name", name, "--purge", "--yes")[0])
        seconds, events = labkit("up", "--name", name, "--events", "json")
        note("labkit up, from nothing to five answered requests", seconds)
        for step, each in _steps(events):
            steps.setdefault(step, []).append(each)
        note("labkit up, with nothing to do", labkit("up", "--name", name)[0])
        note("labkit inspect app1", labkit("inspect", "--name", name, "app1")[0])
        note("python -c pass", run_program(PASS)[0])
    note("labkit down", labkit("down", "--name", name)[0])
    note("labkit up, after down", labkit("up", "--name", name)[0])
    return [_runs(item) for item in taken.items()], [_runs(item) for item in steps.items()]


def labkit(*argv: str) -> tuple[float, str]:
    return run_program((sys.executable, "-m", "labkit.cli", *argv))


def run_program(argv: Sequence[str]) -> tuple[float, str]:
    """Seconds and what it wrote to stderr. Raises CalledProcessError if it fails."""
    begun = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()
    return seconds, done.stderr


def _steps(events: str) -> list[tuple[str, float]]:
    """Each step of an event stream with its seconds."""
    began: dict[int, int] = {}
    found = []
    for line in events.splitlines():
        if not line.startswith("{"):
            continue  # what to type next
        event = json.loads(line)
        if event["state"] == "started":
            began[event["step"]] = event["elapsed_ms"]
        elif event["state"] == "done":
            lasted = (event["elapsed_ms"] - began[event["step"]]) / 1000
            found.append((event["name"], lasted))
    return found


def _runs(item: tuple[str, list[float]]) -> Runs:
    return Runs(item[0], tuple(item[1]))
