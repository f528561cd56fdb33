"""`python -m tests.bench`: measure a lab on this machine, and print what was measured."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit import lab
from labkit.display import table
from tests.bench import memory, relay, verbs

NAME = "bench"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="labs made from nothing [5]")
    parser.add_argument("--json", action="store_true", help="raw figures, for programs")
    options = parser.parse_args(argv)
    with folders(), lab.open_lab(NAME) as opened:
        try:
            figures = measure(opened, options.runs)
        finally:
            opened.down(purge=True)
    text = json.dumps(as_data(figures), indent=2) if options.json else render(figures)
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


def measure(opened: lab.Lab, runs: int) -> dict[str, Any]:
    commands, steps = verbs.measure(NAME, runs)
    return {
        "machine": describe_machine(),
        "commands": commands,
        "steps": steps,
        "memory": memory.read_lab(opened),
        "relay": relay.measure(opened),
    }


def describe_machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "user": "root" if os.geteuid() == 0 else "an ordinary user",
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def as_data(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **figures,
        "commands": [each.to_json() for each in figures["commands"]],
        "steps": [each.to_json() for each in figures["steps"]],
        "relay": {name: way.to_json() for name, way in figures["relay"].items()},
    }


def render(figures: Mapping[str, Any]) -> str:
    return "\n\n".join(
        [
            ", ".join(f"{name} {value}" for name, value in figures["machine"].items()),
            render_runs("Commands, seconds", figures["commands"]),
            render_runs("The steps of `labkit up` from nothing, seconds", figures["steps"]),
            render_memory(figures["memory"]),
            render_relay(figures["relay"]),
        ]
    )


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


def render_relay(found: Mapping[str, relay.Way]) -> str:
    """Each figure for both ways, and the proxy's as a multiple of the direct one."""
    direct, proxied = (found[name].to_json() for name in ("direct", "through the proxy"))
    rows = []
    for what, key in (("connect, ask, close", "connection_us"), ("ask again", "exchange_us")):
        for which in ("median", "p99"):
            pair = direct[key][which], proxied[key][which]
            rows.append([f"{what}, {which}, us", *(f"{each:.0f}" for each in pair), _ratio(*pair)])
    pair = direct["bytes_per_s"] / 2**20, proxied["bytes_per_s"] / 2**20
    rows.append(["a stream, MB/s", *(f"{each:.0f}" for each in pair), _ratio(*pair)])
    title = f"From node1 to a pod on node2, {relay.REQUESTS} requests of each kind"
    return table.render_table(["what", *found, "ratio"], rows, title=title)


def _megabytes(kilobytes: int) -> str:
    return f"{kilobytes / 1024:.1f}" if kilobytes else "-"


def _ratio(direct: float, proxied: float) -> str:
    return f"{proxied / direct:.2f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
