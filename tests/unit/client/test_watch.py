"""Watches that end in every way a watch can end, and a Reflector that misses nothing."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from labkit import errors
from labkit.client import config, watch
from labkit.model import resources
from labkit.model.resources import Object
from tests.unit.client import scripted
from tests.unit.client.scripted import Reply, Stream


def service(name: str, version: int) -> Object:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": service(name, version)}


def listed(version: int, *objects: Object) -> Reply:
    return Reply({"metadata": {"resourceVersion": str(version)}, "items": list(objects)})


GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}


def test_a_watch_brings_events_until_the_servers_time_is_over(server: scripted.Server) -> None:
    server.answer(Stream((event("ADDED", "a", 5), event("BOOKMARK", "", 9))))
    events = watch.watch(
        server.config,
        resources.SERVICES,
        namespace="shop",
        resource_version="4",
        label_selector="name=a",
        timeout_s=7,
    )
    assert [(each.type, each.object) for each in events] == [
        ("ADDED", service("a", 5)),
        ("BOOKMARK", service("", 9)),
    ]
    assert server.next_request().path == (
        "/api/v1/namespaces/shop/services?labelSelector=name%3Da&watch=true"
        "&allowWatchBookmarks=true&resourceVersion=4&timeoutSeconds=7"
    )


def test_an_event_in_two_chunks_is_one_event(server: scripted.Server) -> None:
    server.answer(Stream((b'{"type":"ADDED","obj', b'ect":{"a":1}}\n\n')))
    (only,) = watch.watch(server.config, resources.SERVICES)
    assert only == watch.WatchEvent("ADDED", {"a": 1})


def test_a_watch_that_is_cut_off_says_so(server: scripted.Server) -> None:
    server.answer(Stream((event("ADDED", "a", 5),), ending="cut"))
    events = watch.watch(server.config, resources.SERVICES)
    assert next(events).type == "ADDED"
    with pytest.raises(errors.ConnectionFailed, match="hung up"):
        next(events)


@pytest.mark.parametrize("reply", [Stream((GONE,)), Reply({"message": "too old"}, 410)])
def test_a_version_too_old_is_gone(server: scripted.Server, reply: Reply | Stream) -> None:
    server.answer(reply)
    with pytest.raises(errors.Gone, match="too old"):
        list(watch.watch(server.config, resources.SERVICES, resource_version="1"))


@pytest.mark.parametrize("line", [b"<html>\n", b'{"type":"ADDED"}\n', b"[]\n"])
def test_what_is_no_event_is_not_swallowed(server: scripted.Server, line: bytes) -> None:
    server.answer(Stream((line,)))
    with pytest.raises(errors.ConnectionFailed, match="no event"):
        list(watch.watch(server.config, resources.SERVICES))


@contextlib.contextmanager
def reflecting(server: scripted.Server) -> Iterator[queue.Queue[watch.Change]]:
    changes: queue.Queue[watch.Change] = queue.Queue()
    reflector = watch.Reflector(server.config, resources.SERVICES, on_change=changes.put)
    thread = threading.Thread(target=reflector.run)
    thread.start()
    try:
        yield changes
    finally:
        reflector.stop()
        thread.join(timeout=5)
    assert not thread.is_alive()


def test_a_reflector_lists_then_watches_from_there_on_the_same_connection(
    server: scripted.Server,
) -> None:
    server.answer(listed(4, service("a", 3)), Stream((event("DELETED", "a", 5),), ending="open"))
    with reflecting(server) as changes:
        assert changes.get(timeout=5) == watch.Synced((service("a", 3),), "4")
        assert changes.get(timeout=5) == watch.WatchEvent("DELETED", service("a", 5))
    server.next_request()
    assert "resourceVersion=4&" in server.next_request().path
    assert server.connections == 1


def test_a_cut_watch_is_taken_up_after_the_last_version_seen(server: scripted.Server) -> None:
    server.answer(
        listed(4),
        Stream((event("ADDED", "a", 5), event("BOOKMARK", "", 8)), ending="cut"),
        Stream((event("MODIFIED", "a", 9),), ending="open"),
    )
    with reflecting(server) as changes:
        kinds = [changes.get(timeout=5) for _ in range(3)]
    assert kinds[1:] == [
        watch.WatchEvent("ADDED", service("a", 5)),
        watch.WatchEvent("MODIFIED", service("a", 9)),
    ]
    paths = [server.next_request().path for _ in range(3)]
    assert "resourceVersion=8&" in paths[2]


def test_gone_means_listing_again(server: scripted.Server) -> None:
    server.answer(listed(4), Stream((GONE,)), listed(90, service("b", 88)), Stream(ending="open"))
    with reflecting(server) as changes:
        assert changes.get(timeout=5) == watch.Synced((), "4")
        assert changes.get(timeout=5) == watch.Synced((service("b", 88),), "90")


def test_a_watch_that_ends_in_time_goes_on_without_a_new_connection(
    server: scripted.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HEALTHY_S", 0.0)
    server.answer(listed(4), Stream(), Stream((event("ADDED", "a", 5),), ending="open"))
    with reflecting(server) as changes:
        changes.get(timeout=5)
        assert changes.get(timeout=5) == watch.WatchEvent("ADDED", service("a", 5))
    assert server.connections == 1


def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_loop(
    server: scripted.Server, caplog: pytest.LogCaptureFixture
) -> None:
    begun = time.monotonic()
    server.answer(listed(4), Stream(), Stream(), Stream((event("ADDED", "a", 5),), ending="open"))
    with reflecting(server) as changes:
        changes.get(timeout=5)
        changes.get(timeout=5)
    assert time.monotonic() - begun > 2 * 0.75 * watch.BACK_OFF_S[0]
    assert "ended the watch at once" in caplog.text


def test_a_refusal_is_tried_again_and_said_once(
    server: scripted.Server, caplog: pytest.LogCaptureFixture
) -> None:
    no = Reply({"message": "forbidden"}, 403)
    server.answer(no, no, Reply({"items": []}), listed(4), Stream(ending="open"))
    with reflecting(server) as changes:
        assert changes.get(timeout=5) == watch.Synced((), "4"), "a list is good with its version"
    assert caplog.text.count("forbidden") == 1


def test_stop_does_not_wait_for_the_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BACK_OFF_S", (60.0,))
    reflector = watch.Reflector(
        config.ClientConfig("https://127.0.0.1:1"),
        resources.SERVICES,
        on_change=lambda _: None,
    )
    thread = threading.Thread(target=reflector.run)
    thread.start()
    reflector.stop()
    thread.join(timeout=5)
    assert not thread.is_alive()
