"""What is wanted, and what follows from it: US-13, US-37 to US-40."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from labkit.agent import state
from labkit.client import watch
from labkit.model import proxying
from labkit.model.resources import Object

NAME = proxying.ServicePortName("default", "app1")
A = proxying.ServicePort(NAME, "TCP", 80, ipaddress.ip_address("10.96.20.1"))
B = dataclasses.replace(A, port=81)
C = dataclasses.replace(A, port=82)
KEY = ("default", "app1")


def service(name: str, **spec: object) -> Object:
    spec = {"clusterIP": "10.96.20.1", "ports": [{"port": 80}], **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def after(live: proxying.ServicePort | None, *news: proxying.ServicePort | None) -> state.Changes:
    """What a sync does when `live` is served and then `news` came in, one after the other."""
    mirror: state.Mirror[state.Services] = state.Mirror()
    mirror.take(state.News({KEY: (live,)} if live else {}, whole=True))
    for port in news:
        mirror.take(state.News({KEY: (port,) if port else None}))
    wanted = [port for ports in mirror.values() for port in ports]
    return state.plan_changes({NAME: live} if live else {}, wanted)


@pytest.mark.parametrize(
    ("live", "news", "expected"),
    [
        pytest.param(None, [A], state.Changes(opened=(A,)), id="add"),
        pytest.param(None, [A, B], state.Changes(opened=(B,)), id="add+update=add"),
        pytest.param(None, [A, None], state.Changes(), id="add+del=none"),
        pytest.param(A, [B, C], state.Changes(changed=(C,)), id="update+update=update"),
        pytest.param(A, [B, None], state.Changes(closed=(NAME,)), id="update+del=del"),
        pytest.param(A, [None, B], state.Changes(changed=(B,)), id="del+add=update"),
        pytest.param(A, [B, A], state.Changes(), id="there and back=none"),
    ],
)
def test_US_13_changes_collapse(
    live: proxying.ServicePort | None,
    news: list[proxying.ServicePort | None],
    expected: state.Changes,
) -> None:
    assert after(live, *news) == expected


def test_another_protocol_needs_another_proxy_port() -> None:
    udp = dataclasses.replace(A, protocol="UDP")
    assert after(A, udp) == state.Changes(opened=(udp,), closed=(NAME,))


def test_a_list_replaces_everything() -> None:
    mirror: state.Mirror[int] = state.Mirror()
    mirror.take(state.News({("d", "a"): 1}))
    seen = [mirror.synced]
    mirror.take(state.News({("d", "a"): 1, ("d", "b"): 2}, whole=True))
    assert [*seen, mirror.synced] == [False, True]
    changed = mirror.take(state.News({("d", "b"): 2, ("d", "c"): 3}, whole=True))
    assert changed == (("d", "c"), ("d", "a"))
    assert list(mirror.values()) == [2, 3]
    assert mirror.get(("d", "a")) is None


def test_what_is_as_it_was_is_no_news() -> None:
    mirror: state.Mirror[int] = state.Mirror()
    mirror.take(state.News({KEY: 1}))
    assert mirror.take(state.News({KEY: 1})) == ()
    assert mirror.take(state.News({("d", "unknown"): None})) == ()


def test_changes_are_parsed_as_they_come() -> None:
    synced = state.digest(watch.Synced((service("a"), service("b"))), proxying.parse_service)
    assert synced.whole
    assert set(synced.objects) == {("default", "a"), ("default", "b")}
    added = state.digest(watch.WatchEvent("ADDED", service("a")), proxying.parse_service)
    [[port]] = [ports for ports in added.objects.values() if ports]
    assert port.port == 80
    gone = state.digest(watch.WatchEvent("DELETED", service("a")), proxying.parse_service)
    assert gone == state.News({("default", "a"): None})


def test_US_9_a_Service_that_becomes_headless_is_closed() -> None:
    mirror: state.Mirror[state.Services] = state.Mirror()
    mirror.take(state.digest(watch.Synced((service("app1"),)), proxying.parse_service))
    [port] = [port for ports in mirror.values() for port in ports]
    headless = watch.WatchEvent("MODIFIED", service("app1", clusterIP="None"))
    mirror.take(state.digest(headless, proxying.parse_service))
    wanted = [port for ports in mirror.values() for port in ports]
    assert state.plan_changes({port.name: port}, wanted) == state.Changes(closed=(port.name,))


@pytest.mark.parametrize(
    ("port", "why"),
    [
        (A, ""),
        (dataclasses.replace(A, protocol="SCTP"), "SCTP is not supported"),
        (dataclasses.replace(A, cluster_ip=ipaddress.ip_address("2001:db8::1")), "IPv4"),
    ],
)
def test_US_44_what_cannot_be_proxied_says_so(port: proxying.ServicePort, why: str) -> None:
    said = state.why_not_proxied(port)
    assert why in said
    assert bool(said) is bool(why)
