"""`python -m tests.bench`: measure a lab on this machine, and print what was measured."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import lab
from labkit.display import table
from tests.bench import api, client, inspection, memory, proxies, rules, verbs

NAME = "bench"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} [all]")
    parser.add_argument("--runs", type=int, default=5, help="labs made from nothing [5]")
    parser.add_argument("--json", action="store_true", help="raw figures, for programs")
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    chosen = options.parts or list(PARTS)
    with folders(), lab.open_lab(NAME) as opened:
        try:
            machine = describe_machine()
            figures = {part: PARTS[part].measure(opened, options.runs) for part in chosen}
        finally:
            opened.down(purge=True)
    if options.json:
        found = {"machine": machine, **figures}
        text = json.dumps(found, indent=2, default=lambda value: value.to_json())
    else:
        texts = [", ".join(f"{name} {value}" for name, value in machine.items())]
        texts += [PARTS[part].render(found) for part, found in figures.items()]
        text = "\n\n".join(texts)
    sys.stdout.write(f"{text}\n")
    return 0


@contextlib.contextmanager
def folders() -> Iterator[None]:
    """Folders of the measurement's own: the learner's labs are not looked at."""
    with tempfile.TemporaryDirectory(prefix="lkbench") as folder:
        for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
            os.environ[name] = f"{folder}/{name}"
            Path(folder, name).mkdir(mode=0o700)
        os.chdir(folder)  # no lab file
        yield


def describe_machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "user": "root" if os.geteuid() == 0 else "an ordinary user",
        "load": f"{os.getloadavg()[0]:.2f}",
    }


@dataclass(frozen=True, slots=True)
class Part:
    """What is measured on a lab, which may be up already, and how its figures are shown."""

    measure: Callable[[lab.Lab, int], Any]
    render: Callable[[Any], str]


def measure_commands(opened: lab.Lab, runs: int) -> dict[str, Any]:
    commands, steps = verbs.measure(opened.spec.name, runs)
    return {"commands": commands, "steps": steps}


def measure_memory(opened: lab.Lab, _runs: int) -> Any:
    opened.up()
    return memory.read_lab(opened)


def measure_api(_opened: lab.Lab, _runs: int) -> Any:
    """A server of its own, without a lab."""
    return api.measure()


def measure_proxies(opened: lab.Lab, _runs: int) -> Any:
    opened.up()
    return proxies.measure(opened)


def measure_rules(_opened: lab.Lab, _runs: int) -> Any:
    """An agent of its own, without a lab."""
    return rules.measure()


def render_rules(found: Sequence[Mapping[str, float]]) -> str:
    title = "kube-proxy's rules, from an empty kernel, and for one Service more"
    return table.render_table(rules.HEAD, rules.rows(found), title=title)


def measure_inspection(opened: lab.Lab, _runs: int) -> Any:
    opened.up()
    return inspection.measure(opened)


def render_inspection(found: Mapping[str, float]) -> str:
    return table.render_table(["what", "figure"], inspection.rows(found), title="Inspection")


def render_api(found: Mapping[str, float]) -> str:
    return table.render_table(["what", "figure"], api.rows(found), title="The API server alone")


def render_commands(found: Mapping[str, Sequence[verbs.Runs]]) -> str:
    commands = render_runs("Commands, seconds", found["commands"])
    title = "The steps of `labkit up` from nothing, seconds"
    return f"{commands}\n\n{render_runs(title, found['steps'])}"


def render_runs(title: str, found: Sequence[verbs.Runs]) -> str:
    rows = [
        [each.what, f"{each.median:.3f}", f"{min(each.seconds):.3f}", f"{max(each.seconds):.3f}"]
        for each in found
    ]
    median = {each.what: each.median for each in found}
    if "python -c pass" in median:
        more = median["labkit inspect app1"] - median["python -c pass"]
        rows.append(
            ["labkit inspect app1, on top of the interpreter's start", f"{more:.3f}", "", ""]
        )
    return table.render_table(["what", "median", "least", "most"], rows, title=title)


def render_memory(found: Mapping[str, Mapping[str, int]]) -> str:
    roles = sorted({role for sizes in found.values() for role in sizes} - {memory.PODS})
    roles.append(memory.PODS)
    rows = []
    for name, sizes in found.items():
        cells = [sizes.get(role, 0) for role in roles] + [memory.at_rest(sizes)]
        rows.append([name, *map(_megabytes, cells)])
    title = "Memory, MB of proportional set size"
    return table.render_table(["machine", *roles, "at rest"], rows, title=title)


#: A figure's name, what it is, and how many digits it deserves.
PROXY_FIGURES = (
    ("request_us", "connect, ask, close: us", 0),
    ("request_p99_us", "the same, 99th percentile: us", 0),
    ("exchange_us", "ask again: us", 0),
    ("connections_per_s", f"connections/s, {client.AT_ONCE} at once", 0),
    ("cpu_s_per_1000_connections", "proxy's CPU for 1,000 connections: s", 3),
    ("gbit_per_s", "a stream: Gbit/s", 1),
    ("cpu_s_per_gb", "proxy's CPU for 1 GB: s", 3),
    ("datagrams_per_s", f"UDP questions/s, {client.AT_ONCE} at once", 0),
    ("datagrams_lost", f"lost of {proxies.DATAGRAMS:,}", 0),
    ("rest_mb", "memory at rest: MB", 1),
    ("idle_mb", f"with {proxies.IDLE:,} idle connections: MB", 1),
)


def render_proxies(found: Mapping[str, Mapping[str, float]]) -> str:
    """Each figure for each way; and the proxies' as multiples of the direct way's and HAProxy's."""
    ways = list(found)
    rows = []
    for name, what, digits in PROXY_FIGURES:
        figures = {way: found[way].get(name) for way in ways}
        cells = ["-" if f is None else f"{f:.{digits}f}" for f in figures.values()]
        ratios = [_ratio(figures["labkit"], figures.get(way)) for way in ("direct", "HAProxy")]
        rows.append([what, *cells, *ratios])
    title = f"From {proxies.CLIENT} by way of {proxies.PROXY_NODE} to a pod on {proxies.POD_NODE}"
    columns = ["what", *ways, "labkit / direct", "labkit / HAProxy"]
    return table.render_table(columns, rows, title=title)


def _megabytes(kilobytes: int) -> str:
    return f"{kilobytes / 1024:.1f}" if kilobytes else "-"


def _ratio(figure: float | None, other: float | None) -> str:
    return f"{figure / other:.2f}" if figure and other else "-"


PARTS = {
    "api": Part(measure_api, render_api),
    "commands": Part(measure_commands, render_commands),
    "memory": Part(measure_memory, render_memory),
    "proxies": Part(measure_proxies, render_proxies),
    "rules": Part(measure_rules, render_rules),
    "inspection": Part(measure_inspection, render_inspection),  # the last: it leaves 1,000 Services
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
