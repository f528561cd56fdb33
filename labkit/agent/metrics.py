"""`/metrics`: what was counted, as Prometheus' text.

Names, buckets and meanings are kube-proxy's where it has them (its userspace mode registers none of
its own; here they are the values of this mode), `rest_client_*` and `process_*` those that every
Kubernetes component has. What only we count begins with `labkit_`.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator

from labkit.agent import journal, tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SYNC = "kubeproxy_sync_proxy_rules"

#: Name, kind, help, value.
Metric = tuple[str, str, str, float]


def render_metrics(book: journal.Journal, *, api_host: str = "") -> str:
    """Everything there is to tell at this moment."""
    counts = book.counts
    lines = [*_histograms(counts)]
    for metric in (*_proxy_rules(counts), *_relay(book), *_process()):
        lines += _lines(*metric)
    lines += _by_outcome(counts)
    lines += _requests(counts, api_host)
    return "\n".join(lines) + "\n"


def _proxy_rules(counts: tally.Tally) -> Iterator[Metric]:
    yield (
        f"{_SYNC}_last_timestamp_seconds",
        "gauge",
        "When the rules were last brought in line with what is wanted",
        counts.last_sync,
    )
    yield (
        f"{_SYNC}_last_queued_timestamp_seconds",
        "gauge",
        "When a sync was last asked for",
        counts.last_queued,
    )
    for kind, pending, total in (
        ("service", counts.service_changes_pending, counts.service_changes),
        ("endpoint", counts.endpoint_changes_pending, counts.endpoint_changes),
    ):
        words = f"changes of {kind.capitalize()}s"
        yield (
            f"{_SYNC}_{kind}_changes_pending",
            "gauge",
            f"{words} that are not in effect",
            pending,
        )
        yield (f"{_SYNC}_{kind}_changes_total", "counter", f"{words} so far", total)
    yield (
        f"{_SYNC}_iptables_restore_failures_total",
        "counter",
        "Syncs that iptables refused",
        counts.restore_failures,
    )
    yield "labkit_proxy_syncs_total", "counter", "Syncs that came to their end", counts.syncs


def _relay(book: journal.Journal) -> Iterator[Metric]:
    counts, proxy = book.counts, "labkit_proxy"
    up, down = book.moved()
    for name, kind, words, value in (
        ("connections_total", "counter", "TCP connections accepted", counts.connections),
        ("connections_active", "gauge", "TCP connections open", counts.active_connections),
        (
            "connections_refused_total",
            "counter",
            "TCP connections reset because no endpoint could be had",
            counts.refused_connections,
        ),
        ("failed_dials_total", "counter", "Endpoints that did not answer", counts.failed_dials),
        ("udp_sessions_total", "counter", "UDP sessions begun or refused", counts.udp_sessions),
        ("udp_sessions_active", "gauge", "UDP sessions open", counts.active_udp_sessions),
        (
            "datagrams_dropped_total",
            "counter",
            "UDP datagrams that could not be passed on",
            counts.dropped_datagrams,
        ),
        ("bytes_up_total", "counter", "Bytes carried toward endpoints", up),
        ("bytes_down_total", "counter", "Bytes carried toward clients", down),
    ):
        yield f"{proxy}_{name}", kind, words, value


def _process() -> Iterator[Metric]:
    """What Prometheus' own clients tell about their process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    stat = _read("/proc/self/stat").rpartition(")")[2].split()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    for name, kind, words, value in (
        ("cpu_seconds_total", "counter", "CPU time used", usage.ru_utime + usage.ru_stime),
        ("open_fds", "gauge", "Open file descriptors", len(os.listdir("/proc/self/fd"))),  # noqa: PTH208
        ("max_fds", "gauge", "Most file descriptors that may be open", soft),
        ("virtual_memory_bytes", "gauge", "Virtual memory", int(stat[20])),
        (
            "resident_memory_bytes",
            "gauge",
            "Resident memory",
            int(stat[21]) * os.sysconf("SC_PAGE_SIZE"),
        ),
        (
            "start_time_seconds",
            "gauge",
            "When the process began, since the epoch",
            _boot_time() + int(stat[19]) / os.sysconf("SC_CLK_TCK"),
        ),
    ):
        yield f"process_{name}", kind, words, value


def _boot_time() -> float:
    lines = _read("/proc/stat").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("btime ")))


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib costs memory
        return file.read()


def _histograms(counts: tally.Tally) -> Iterator[str]:
    for name, words, histogram in (
        (f"{_SYNC}_duration_seconds", "How long syncs took", counts.sync_s),
        (
            "kubeproxy_network_programming_duration_seconds",
            "From a pod's change to the balancer that knows of it",
            counts.programming_s,
        ),
    ):
        yield from _heading(name, "histogram", words)
        for bound, count in histogram.cumulative():
            yield f'{name}_bucket{{le="{_bound(bound)}"}} {count}'
        yield f"{name}_sum {histogram.sum:.17g}"
        yield f"{name}_count {histogram.count}"


def _by_outcome(counts: tally.Tally) -> Iterator[str]:
    name = "labkit_proxy_ended_total"
    yield from _heading(name, "counter", "Connections and sessions by how they ended")
    for (protocol, outcome), count in sorted(counts.outcomes.items()):
        yield f'{name}{{protocol="{protocol}",outcome="{outcome}"}} {count}'


def _requests(counts: tally.Tally, host: str) -> Iterator[str]:
    name = "rest_client_requests_total"
    yield from _heading(name, "counter", "Requests to the API server")
    for status, count in sorted(counts.requests.items()):
        yield f'{name}{{code="{status}",host="{host}",method="GET"}} {count}'


def _lines(name: str, kind: str, words: str, value: float) -> Iterable[str]:
    return (*_heading(name, kind, words), f"{name} {value:.17g}")


def _heading(name: str, kind: str, words: str) -> Iterable[str]:
    """kube-proxy marks what may still change."""
    stage = "[ALPHA] " if name.startswith(("kubeproxy_", "rest_client_")) else ""
    return f"# HELP {name} {stage}{words}", f"# TYPE {name} {kind}"


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else f"{bound:g}"
