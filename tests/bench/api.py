"""How fast the API server is on its own: what kubectl waits for, and what of that is the server's.

`kubectl apply` asks twice for each object, one after the other, so that its time is mostly its own;
the server's share is the CPU time that its process used meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.contracts import apiserver

SERVICES = 1000
WATCHERS = 100
LISTS = 20
#: Seconds that a stock kube-apiserver is said to have taken for as many objects. It was measured
#: elsewhere, by somebody else: the ratio is a guide. (`pytest -m stock` has one to measure here.)
STOCK_APPLY_S = 36.0
PATH = "/api/v1/namespaces/default/services"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
HEADERS = {"Authorization": "Bearer admin", "Content-Type": "application/json"}


def measure(services: int = SERVICES, watchers: int = WATCHERS) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="lkapi") as folder,
        apiserver.running(Path(folder)) as server,
    ):
        idle = _memory_mb(server)
        figures = {"idle_mb": idle, **_apply(server, services)}
        figures |= {"objects": 2 * services, **_list(server)}
        figures |= _watch(server, services, watchers)
        return {**figures, "after_mb": _memory_mb(server)}


def manifest(services: int) -> str:
    """Services without a selector, and the Endpoints that go with them."""
    return apiserver.manifest(*(each for n in range(services) for each in _pair(n)))


def _pair(number: int) -> tuple[Any, Any]:
    meta = {"name": f"s{number}", "namespace": "default"}
    port = {"port": 8080, "targetPort": 8080, "protocol": "TCP"}
    address = {"ip": f"10.244.{number // 250}.{number % 250 + 2}"}
    subset = {"addresses": [address], "ports": [{"port": 8080, "protocol": "TCP"}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [port]}}
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]}
    return service, endpoints


def _apply(server: apiserver.Server, services: int) -> dict[str, float]:
    kubectl = apiserver.Kubectl(server)
    file = server.folder / "many.json"
    file.write_text(manifest(services))
    found: dict[str, float] = {}
    for what in ("apply", "apply_again"):
        begun, used = time.perf_counter(), _cpu_s(server)
        subprocess.run(
            kubectl.argv("apply", "-f", str(file)),
            env=kubectl.environment(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        found[f"{what}_s"] = time.perf_counter() - begun
        found[f"{what}_server_s"] = _cpu_s(server) - used
    return found


def _list(server: apiserver.Server) -> dict[str, float]:
    found = {}
    with contextlib.closing(server.connect()) as connection:
        for what, accept in (("list_json_ms", "application/json"), ("list_table_ms", TABLE)):

            def ask(accept: str = accept) -> None:
                connection.request("GET", PATH, headers={**HEADERS, "Accept": accept})
                connection.getresponse().read()

            found[what] = statistics.median(_timed(ask) for _ in range(LISTS)) * 1000
    return found


def _watch(server: apiserver.Server, writes: int, watchers: int) -> dict[str, float]:
    """All watchers see all writes; how late the last of them sees each."""
    _, listed = server.request("GET", PATH)
    path = f"{PATH}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}"
    seen: list[list[float]] = []
    with contextlib.ExitStack() as stack:
        threads = []
        for _ in range(watchers):
            connection = stack.enter_context(contextlib.closing(server.connect()))
            connection.request("GET", path, headers=HEADERS)
            arrivals: list[float] = []
            seen.append(arrivals)
            args = (connection.getresponse(), writes, arrivals)
            threads.append(threading.Thread(target=_arrive, args=args))
        for thread in threads:
            thread.start()
        begun, used = time.perf_counter(), _cpu_s(server)
        written = _write(server, writes)
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - begun
        watched_mb, used = _memory_mb(server), _cpu_s(server) - used
    last = [max(times) - sent for sent, *times in zip(written, *seen, strict=True)]
    return {
        "watch_events_per_s": writes * watchers / taken,
        "watch_server_us_per_event": used / (writes * watchers) * 1e6,
        "watch_latency_ms": statistics.median(last) * 1000,
        "watch_latency_p99_ms": sorted(last)[int(len(last) * 0.99)] * 1000,
        "watched_mb": watched_mb,
    }


def _arrive(response: Any, count: int, arrivals: list[float]) -> None:
    while len(arrivals) < count and response.readline():
        arrivals.append(time.perf_counter())
    response.close()


def _write(server: apiserver.Server, count: int) -> list[float]:
    written = []
    with contextlib.closing(server.connect()) as connection:
        for number in range(count):
            patch = json.dumps({"metadata": {"labels": {"turn": str(number)}}})
            headers = {**HEADERS, "Content-Type": "application/merge-patch+json"}
            written.append(time.perf_counter())
            connection.request("PATCH", f"{PATH}/s0", patch, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
    return written


def rows(figures: Mapping[str, float]) -> Sequence[Sequence[str]]:
    """For a table: what, and the figure with its unit."""
    apply_s, server_s = figures["apply_s"], figures["apply_server_s"]
    again_s = figures["apply_again_s"]
    return [
        ["idle, MB", f"{figures['idle_mb']:.1f}"],
        [f"kubectl apply of {figures['objects']:.0f} objects, s", f"{apply_s:.1f}"],
        ["  as a multiple of a stock kube-apiserver's 36 s", f"{apply_s / STOCK_APPLY_S:.2f}"],
        ["  of which the server's CPU, s", f"{server_s:.2f}"],
        ["  the server's share", f"{server_s / apply_s:.2f}"],
        ["the same again, s", f"{again_s:.1f}"],
        ["  of which the server's CPU, s", f"{figures['apply_again_server_s']:.2f}"],
        ["list of all Services, JSON, ms", f"{figures['list_json_ms']:.1f}"],
        ["list of all Services, Table, ms", f"{figures['list_table_ms']:.1f}"],
        [f"events to {WATCHERS} watchers, 1/s", f"{figures['watch_events_per_s']:.0f}"],
        ["  the server's CPU per event, us", f"{figures['watch_server_us_per_event']:.0f}"],
        ["  the last watcher's delay, median, ms", f"{figures['watch_latency_ms']:.1f}"],
        ["  the last watcher's delay, p99, ms", f"{figures['watch_latency_p99_ms']:.1f}"],
        ["with all watchers, MB", f"{figures['watched_mb']:.1f}"],
        ["after them, MB", f"{figures['after_mb']:.1f}"],
    ]


def _timed(act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _cpu_s(server: apiserver.Server) -> float:
    assert server.process
    stat = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(server: apiserver.Server) -> float:
    assert server.process
    text = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
    return int(text.partition("\nPss:")[2].split()[0]) / 1024
