"""What the agent tells about itself: `/healthz` on 10256, `/metrics` and `/proxyMode` on 10249.

Paths, ports and metric names are kube-proxy's where it has them; what only we count begins with
`labkit_`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from labkit.agent import http, tally

MODE = "userspace"


def answer_health(path: str, counts: tally.Tally, now: float, *, timeout_s: float) -> http.Answer:
    """Unhealthy is who was asked to sync, did not, and has had `timeout_s` for it (OB-2)."""
    if path.partition("?")[0] != "/healthz":
        return http.NOT_FOUND
    late = counts.last_queued > counts.last_sync and now - counts.last_queued >= timeout_s
    updated = counts.last_sync if late else now
    body = f'{{"lastUpdated": "{_go_time(updated)}","currentTime": "{_go_time(now)}"}}'
    return http.Answer(body, 503 if late else 200, "application/json")


def answer_metrics(path: str, counts: tally.Tally) -> http.Answer:
    match path.partition("?")[0]:
        case "/proxyMode":
            return http.Answer(MODE)
        case "/healthz" | "/healthz/ping":
            return http.Answer("ok")
        case "/metrics":
            text = "".join(f"{line}\n" for line in _metrics(counts))
            return http.Answer(text, content_type="text/plain; version=0.0.4; charset=utf-8")
        case _:
            return http.NOT_FOUND


def _metrics(counts: tally.Tally) -> Iterator[str]:
    sync = "kubeproxy_sync_proxy_rules"
    yield from _metric(f"{sync}_last_timestamp_seconds", "gauge", counts.last_sync)
    yield from _metric(f"{sync}_last_queued_timestamp_seconds", "gauge", counts.last_queued)
    yield from _metric(
        f"{sync}_iptables_restore_failures_total", "counter", counts.restore_failures
    )
    yield from _metric("labkit_proxy_syncs_total", "counter", counts.syncs)
    yield from _metric("labkit_proxy_connections_total", "counter", counts.connections)
    yield from _metric("labkit_proxy_connections_active", "gauge", counts.active_connections)
    yield from _metric(
        "labkit_proxy_connections_refused_total", "counter", counts.refused_connections
    )
    yield from _metric("labkit_proxy_failed_dials_total", "counter", counts.failed_dials)
    yield from _metric("labkit_proxy_udp_sessions_total", "counter", counts.udp_sessions)
    yield from _metric("labkit_proxy_udp_sessions_active", "gauge", counts.active_udp_sessions)
    yield from _metric("labkit_proxy_datagrams_dropped_total", "counter", counts.dropped_datagrams)
    yield from _metric("process_resident_memory_bytes", "gauge", _resident_bytes())
    yield from _metric("process_open_fds", "gauge", _open_descriptors())


def _metric(name: str, kind: str, value: float) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    yield f"{name} {value:.17g}"


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - pathlib costs memory
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def _go_time(seconds: float) -> str:
    """A time as Go prints it, for programs that have learnt to read kube-proxy's."""
    nanoseconds = int(seconds % 1 * 1e9)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09} +0000 UTC"
