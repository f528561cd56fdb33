"""/metrics, read back by Prometheus' own parser."""

from __future__ import annotations

import time

import pytest
from prometheus_client import parser
from prometheus_client.samples import Sample

from labkit.agent import journal, metrics, state, tally
from tests.unit.agent import conftest


def read(book: journal.Journal) -> dict[tuple[str, tuple[tuple[str, str], ...]], Sample]:
    """Every sample by name and labels; the parser raises for text that is not valid."""
    text = metrics.render_metrics(book, api_host="192.168.56.10:6443")
    families = list(parser.text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample
        for family in families
        for sample in family.samples
    }


def value(book: journal.Journal, name: str, **labels: str) -> float:
    return float(read(book)[name, tuple(sorted(labels.items()))].value)


@pytest.fixture
def book() -> journal.Journal:
    return journal.Journal(tally.Tally())


def test_connections_are_counted_by_how_they_ended(book: journal.Journal) -> None:
    for port in range(3):
        book.begin(conftest.TCP, ("10.244.1.7", port))
    book.end(book.open()[0], "no endpoints")
    assert value(book, "labkit_proxy_connections_total") == 3
    assert value(book, "labkit_proxy_connections_active") == 2
    assert value(book, "labkit_proxy_connections_refused_total") == 1
    assert value(book, "labkit_proxy_ended_total", protocol="TCP", outcome="no endpoints") == 1


def test_bytes_of_what_is_open_count_too(book: journal.Journal) -> None:
    class Carrying:
        def moved(self) -> tuple[int, int]:
            return 3, 5

        def cut(self, outcome: journal.Outcome) -> None: ...

    first, _ = (book.begin(conftest.TCP, ("10.244.1.7", port), Carrying()) for port in (1, 2))
    for _ in range(2):
        assert value(book, "labkit_proxy_bytes_up_total") == 6
        assert value(book, "labkit_proxy_bytes_down_total") == 10
        book.end(first, "client closed")


def test_durations_are_histograms_with_kube_proxy_s_buckets(book: journal.Journal) -> None:
    for seconds in (0.0005, 0.001, 0.0011, 100.0):
        book.counts.sync_s.observe(seconds)
    name = "kubeproxy_sync_proxy_rules_duration_seconds"
    assert [value(book, f"{name}_bucket", le=le) for le in ("0.001", "0.002", "16.384")] == [
        2,
        3,
        3,
    ]
    assert value(book, f"{name}_bucket", le="+Inf") == value(book, f"{name}_count") == 4
    assert value(book, f"{name}_sum") == pytest.approx(100.0026)
    bounds = [labels[0][1] for sample, labels in read(book) if sample == f"{name}_bucket"]
    assert len(bounds) == 16
    programming = "kubeproxy_network_programming_duration_seconds_bucket"
    bounds = [labels[0][1] for sample, labels in read(book) if sample == programming]
    assert bounds[:4] == ["0", "0.25", "0.5", "1"]
    assert bounds[-8:] == ["120", "150", "180", "210", "240", "270", "300", "+Inf"]
    assert len(bounds) == 3 + 59 + 12 + 7 + 1


def test_every_metric_of_kube_proxy_is_there(book: journal.Journal) -> None:
    book.counts.requests.update(["200", "<error>"])
    names = {name for name, _ in read(book)}
    sync = "kubeproxy_sync_proxy_rules"
    assert names >= {
        f"{sync}_last_timestamp_seconds",
        f"{sync}_last_queued_timestamp_seconds",
        f"{sync}_service_changes_total",
        f"{sync}_service_changes_pending",
        f"{sync}_endpoint_changes_total",
        f"{sync}_endpoint_changes_pending",
        f"{sync}_iptables_restore_failures_total",
    }
    labels = {"host": "192.168.56.10:6443", "method": "GET"}
    assert value(book, "rest_client_requests_total", code="<error>", **labels) == 1


def test_the_process_tells_what_it_is_about(book: journal.Journal) -> None:
    assert value(book, "process_open_fds") > 2
    assert value(book, "process_max_fds") >= value(book, "process_open_fds")
    resident = value(book, "process_resident_memory_bytes")
    assert 1_000_000 < resident < value(book, "process_virtual_memory_bytes")
    assert 0 < value(book, "process_cpu_seconds_total") <= time.process_time()
    assert time.time() - 3600 < value(book, "process_start_time_seconds") < time.time()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-11-23T19:30:08.5Z", 1795462208.5),
        ("2024-02-29T00:00:00.000000001Z", 1709164800.000000001),
    ],
)
def test_trigger_times_are_read(text: str, seconds: float) -> None:
    assert state.parse_time(text) == seconds


def test_what_is_no_time_is_no_trigger() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        state.parse_time("yesterday")
