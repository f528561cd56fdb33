"""Our API server beside a stock one: `python -m tests.bench.stock`, once both are there.

The same `kubectl apply -f` of 1,000 Services with their Endpoints into an empty server, then the
list of all Services, then what the processes hold in memory. etcd is part of the stock server.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.display import table
from tests.contracts import apiserver
from tests.stock import build, server

SERVICES = 1000
LISTS = 5
_FIRST = ipaddress.IPv4Address("10.244.1.2")
_APPLY_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Figures:
    apply_s: float
    list_ms: float
    idle_mb: float
    loaded_mb: float


def main() -> int:
    if not all((build.folder() / "bin" / name).exists() for name in build.PROGRAMS):
        sys.stderr.write("tests.bench.stock: `python -m tests.stock.build` first\n")
        return 1
    with ours() as one:
        own = measure(*one)
    with stock() as other:
        theirs = measure(*other)
    sys.stdout.write(f"{render(own, theirs)}\n")
    return 0


@contextlib.contextmanager
def ours() -> Iterator[tuple[apiserver.Server, list[int]]]:
    with tempfile.TemporaryDirectory() as folder, apiserver.running(Path(folder)) as running:
        assert running.process
        yield running, [running.process.pid]


@contextlib.contextmanager
def stock() -> Iterator[tuple[apiserver.Server, list[int]]]:
    with tempfile.TemporaryDirectory() as folder, server.running(Path(folder)) as running:
        assert running.process
        assert running.etcd
        yield running, [running.process.pid, running.etcd.pid]


def measure(target: apiserver.Server, pids: Sequence[int]) -> Figures:
    idle = sum(map(megabytes, pids))
    manifest = target.folder / "manifest.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects()}))
    begun = time.perf_counter()
    kubectl = apiserver.Kubectl(target)
    done = subprocess.run(
        kubectl.argv("apply", "-f", str(manifest)),
        env=kubectl.environment(),
        capture_output=True,
        text=True,
        timeout=_APPLY_TIMEOUT_S,
        check=False,
    )
    taken = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(done.stderr)
    lists = [list_ms(target) for _ in range(LISTS)]
    return Figures(taken, statistics.median(lists), idle, sum(map(megabytes, pids)))


def list_ms(target: apiserver.Server) -> float:
    begun = time.perf_counter()
    code, found = target.request("GET", "/api/v1/namespaces/default/services")
    taken = time.perf_counter() - begun
    assert code == 200
    assert len(found["items"]) > SERVICES  # and default/kubernetes
    return taken * 1000


def objects() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(SERVICES):
        meta = {"name": f"app{number}", "namespace": "default"}
        ports = [{"port": 8080}]
        made.append(
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}}
        )
        subset = {"addresses": [{"ip": str(_FIRST + number)}], "ports": ports}
        made.append(
            {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]}
        )
    return made


def megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(pid)


def render(own: Figures, theirs: Figures) -> str:
    names = {
        "apply_s": f"kubectl apply of {2 * SERVICES} objects, s",
        "list_ms": f"list of {SERVICES} Services, ms",
        "idle_mb": "memory when started, MB",
        "loaded_mb": "memory with all of it, MB",
    }
    rows = []
    for field, what in names.items():
        pair = getattr(own, field), getattr(theirs, field)
        rows.append([what, *(f"{each:.1f}" for each in pair), f"{pair[0] / pair[1]:.2f}"])
    title = "Our API server beside kube-apiserver 1.20 with etcd"
    return table.render_table(["what", "ours", "stock", "ratio"], rows, title=title)


if __name__ == "__main__":
    sys.exit(main())
