"""The small parts: options, the loop, the outbox, events, the Node object, the reporter."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from labkit import errors
from labkit.client import config, http, watch
from labkit.model import resources
from labkit.model.resources import Object
from labkit.podlet import (
    events,
    host,
    lease,
    loop,
    network,
    node,
    options,
    outbox,
    reporter,
    routes,
)
from tests.unit.podlet import samples
from tests.unit.podlet.samples import NOW

FLAGS = (
    *("--hostname-override", "node1", "--node-ip", "192.168.56.11"),
    *("--pod-cidr", "10.244.1.0/24"),
)


class FakeClient(http.Client):
    """An API server in a dictionary; `trouble` is raised once per entry, before it answers."""

    def __init__(self) -> None:
        super().__init__(config.ClientConfig("https://nowhere"))
        self.objects: dict[str, Object] = {}
        self.patches: list[tuple[str, Object]] = []
        self.created: list[Object] = []
        self.trouble: list[errors.LabkitError] = []

    def create(self, resource: resources.Resource, obj: Object) -> Object:
        self._maybe_fail()
        name = self._key(resource, obj["metadata"]["name"])
        if name in self.objects:
            raise errors.Conflict("already exists", status=409)
        self.objects[name] = obj
        self.created.append(obj)
        return obj

    def get(self, resource: resources.Resource, name: str, namespace: str = "") -> Object:
        if name not in self.objects:
            raise errors.NotFound("no such node", status=404)
        return self.objects[name]

    def _key(self, resource: resources.Resource, name: str) -> str:
        return f"lease {name}" if resource is resources.LEASES else name

    def patch(
        self,
        resource: resources.Resource,
        name: str,
        namespace: str,
        patch: Object,
        *,
        subresource: str = "",
    ) -> Object:
        self._maybe_fail()
        known = self._key(resource, name) in self.objects
        if not known and resource in (resources.NODES, resources.LEASES):
            raise errors.NotFound("no such object", status=404)
        self.patches.append((f"{name}/{subresource}", patch))
        return patch

    def _maybe_fail(self) -> None:
        if self.trouble:
            raise self.trouble.pop(0)


def test_options_are_kubelets_own() -> None:
    given = options.parse(
        [
            *FLAGS,
            *("--register-with-taints", "a/b=:NoSchedule,c=d:NoExecute"),
            *("--register-node-labels", "x=y,z"),
            *("--node-lease-duration-seconds", "90", "--v=4"),
        ]
    )
    assert given.taints == (
        (("key", "a/b"), ("effect", "NoSchedule")),
        (("key", "c"), ("value", "d"), ("effect", "NoExecute")),
    )
    assert given.labels == (("x", "y"), ("z", ""))
    assert given.lease_s == 90
    assert str(given.state_dir) == "/run/labkit/pods"


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("--node-ip", "localhost", "invalid IPv4Address value: 'localhost'"),
        ("--pod-cidr", "10.244.1.3/24", "has host bits set"),
        ("--pod-cidr", "10.244.1.0/31", "no room for a pod"),
        ("--register-with-taints", "a=b", "not a taint"),
        ("--register-with-taints", "a=b:Maybe", "NoSchedule, PreferNoSchedule, NoExecute"),
        ("--node-lease-duration-seconds", "10s", "not a whole number of seconds"),
    ],
)
def test_a_bad_flag_is_named(
    flag: str, value: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        options.parse([flag, value])
    assert caught.value.code == 2
    assert flag in (shown := capsys.readouterr().err)
    assert says in shown


def test_the_loop_makes_what_is_due_posted_and_readable() -> None:
    now = [NOW]
    turning = loop.Loop(clock=lambda: now[0])
    made: list[str] = []
    read, write = os.pipe()

    def take_byte() -> None:
        os.read(read, 1)
        made.append("readable")
        turning.forget(read)
        turning.stop()

    def write_byte() -> None:
        os.write(write, b"x")

    turning.when_readable(read, take_byte)
    turning.at("replaced", NOW, lambda: made.append("never"))
    turning.at("replaced", NOW, lambda: made.append("due"))
    turning.at("removed", NOW, lambda: made.append("never"))
    turning.at("removed", None, lambda: None)
    turning.at("later", NOW + 60, lambda: made.append("never"))
    turning.at("last", NOW, lambda: turning.post(write_byte))
    thread = threading.Thread(target=lambda: turning.post(lambda: made.append("posted")))
    thread.start()
    turning.run()
    thread.join()
    turning.close()
    os.close(read)
    os.close(write)
    assert sorted(made) == ["due", "posted", "readable"]


def send_all(out: outbox.Outbox, last: Callable[[http.Client], object]) -> None:
    """Run the outbox on this thread until the letter `last` has gone."""

    def stop(client: http.Client) -> None:
        last(client)
        out.stop()

    out.put("last", stop)
    out.run()


def test_a_newer_letter_takes_the_place_of_an_older() -> None:
    out, sent = outbox.Outbox(FakeClient()), []
    out.put("a", lambda _: sent.append("old"))
    out.put("b", lambda _: sent.append("b"))
    out.put("a", lambda _: sent.append("new"))
    send_all(out, lambda _: sent.append("last"))
    assert sent == ["new", "b", "last"]


def test_letters_wait_for_the_server_and_what_it_refuses_is_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("labkit.client.watch.BACK_OFF_S", (0.001,))
    client = FakeClient()
    client.trouble = [
        errors.ConnectionFailed("refused"),
        errors.ApiError("starting", status=503),
        errors.ApiError("forbidden", status=403),
        errors.NotFound("gone", status=404),
    ]
    out, tries = outbox.Outbox(client), []

    def letter(name: str) -> outbox.Letter:
        def send(client: http.Client) -> None:
            tries.append(name)
            client.patch(resources.PODS, name, "default", {})

        return send

    for name in ("a", "b", "c"):
        out.put(name, letter(name))
    send_all(out, lambda _: None)
    assert tries == ["a", "a", "a", "b", "c"]
    assert "refuses a: forbidden" in caplog.text


def test_the_outbox_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LETTERS_MAX", 2)
    out, sent = outbox.Outbox(FakeClient()), []
    out.put("a", lambda _: sent.append("a"))
    out.put("b", lambda _: sent.append("b"))
    send_all(out, lambda _: None)
    assert sent == ["b"]


def test_an_event_says_whom_it_is_about() -> None:
    event = events.render(
        samples.wanted(), "Warning", "Failed", "no", node="node1", container="main"
    )
    assert event["metadata"]["name"].startswith("app1.")
    assert event["involvedObject"] == {
        "kind": "Pod",
        "apiVersion": "v1",
        "name": "app1",
        "namespace": "default",
        "uid": samples.UID,
        "fieldPath": "spec.containers{main}",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Failed", "no")


def given(*flags: str) -> options.Options:
    return options.parse([*FLAGS, *flags])


def test_a_node_says_what_it_is_and_why_it_is_not_ready() -> None:
    ours = node.render(given("--register-node-labels", "a=b"))
    assert ours["metadata"]["labels"]["kubernetes.io/hostname"] == "node1"
    assert ours["metadata"]["labels"]["a"] == "b"
    assert ours["spec"]["podCIDR"] == "10.244.1.0/24"
    (ready,) = ours["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("True", "KubeletReady")
    later = node.render(given(), before=ours["status"])
    (again,) = later["status"]["conditions"]
    assert again["lastTransitionTime"] == ready["lastTransitionTime"]
    (unready,) = node.render(given(), trouble="no bridge")["status"]["conditions"]
    assert (unready["status"], unready["message"]) == ("False", "no bridge")


def test_registration_creates_or_takes_over() -> None:
    client, ours = FakeClient(), node.render(given())
    node.register(client, ours)
    assert client.objects["node1"] == ours
    assert client.patches == [], "the status went along"
    del client.objects["node1"]["spec"]["podCIDR"]
    again = node.render(given())
    node.register(client, again)
    (_, patch), (path, status) = client.patches
    assert patch["spec"]["podCIDR"] == "10.244.1.0/24"
    assert (path, status) == ("node1/status", {"status": again["status"]})


def test_another_pod_network_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    client = FakeClient()
    client.objects["node1"] = {"metadata": {"name": "node1"}, "spec": {"podCIDR": "10.9.9.0/24"}}
    node.register(client, node.render(given()))
    assert "has the pod network 10.9.9.0/24 and not 10.244.1.0/24" in caplog.text


def test_a_lease_is_made_once_and_then_renewed() -> None:
    client = FakeClient()
    with pytest.raises(errors.NotFound):
        lease.renew(client, "node1", 40)
    client.objects["node1"] = {"metadata": {"name": "node1", "uid": "u1"}}
    lease.renew(client, "node1", 40)
    (made,) = client.created
    assert made["metadata"]["namespace"] == "kube-node-lease"
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Node", "u1")
    assert made["spec"] == {
        "holderIdentity": "node1",
        "leaseDurationSeconds": 40,
        "renewTime": made["spec"]["renewTime"],
    }
    lease.renew(client, "node1", 40)
    ((path, patch),) = client.patches
    assert path == "node1/"
    assert list(patch["spec"]) == ["renewTime"]


class Kept(outbox.Outbox):
    """An outbox whose letters are read by the test."""

    def __init__(self) -> None:
        super().__init__(FakeClient())
        self.kept: list[tuple[Any, outbox.Letter]] = []

    def put(self, subject: Any, letter: outbox.Letter) -> None:
        self.kept.append((subject, letter))


def test_a_status_is_told_once() -> None:
    out = Kept()
    tell = reporter.Reporter(given(), out)
    wanted, pod = samples.wanted(), samples.pod(samples.running())
    tell.has_seen(wanted)
    tell.publish(wanted, pod, NOW)
    tell.publish(wanted, pod, NOW + 1)
    ((subject, letter),) = out.kept
    assert subject == ("pod", samples.UID)
    client = FakeClient()
    letter(client)
    ((path, patch),) = client.patches
    assert path == "app1/status"
    assert patch["metadata"] == {"uid": samples.UID}
    assert patch["status"]["phase"] == "Running"

    restarted = reporter.Reporter(given(), out)
    restarted.has_seen(wanted | {"status": patch["status"]})
    restarted.publish(wanted, pod, NOW + 2)
    assert len(out.kept) == 1, "a podlet that was started anew does not repeat it"

    told = samples.wanted() | {"status": patch["status"]}
    for ready, letters in (("True", 1), ("False", 2)):
        conditions = [{"type": "Ready", "status": ready}]
        told["status"] = {**told["status"], "conditions": conditions}
        tell.has_heard(told)
        tell.publish(wanted, pod, NOW + 3)
        assert len(out.kept) == letters, "whoever says that it is not ready is contradicted"


class TestHost:
    """What the node does when it sees itself in the API."""

    def host(self, monkeypatch: pytest.MonkeyPatch) -> tuple[host.Host, Kept]:
        monkeypatch.setattr(routes, "ensure", lambda _: None)
        monkeypatch.setattr(network, "ensure_node", lambda *_: None)
        out = Kept()
        made = host.Host(given(), loop.Loop(), out, lambda _: None)
        made.begin()
        out.kept.clear()
        return made, out

    def obj(self, ready: str = "True") -> Object:
        conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": "then"}]
        return {"metadata": {"name": "node1"}, "status": {"conditions": conditions}}

    def test_it_contradicts_who_takes_it_for_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made, out = self.host(monkeypatch)
        made.take_nodes(watch.Synced((self.obj(),)))
        assert out.kept == []
        made.take_nodes(watch.WatchEvent("MODIFIED", self.obj("Unknown")))
        ((subject, letter),) = out.kept
        assert subject == "status"
        client = FakeClient()
        client.objects["node1"] = self.obj("Unknown")
        letter(client)
        ((_, patch),) = client.patches
        (ready,) = patch["status"]["conditions"]
        assert ready["status"] == "True"
        assert ready["lastTransitionTime"] != "then"

    def test_a_deleted_node_comes_back_with_all_that_was_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, out = self.host(monkeypatch)
        made.tell_in_step()
        made.take_nodes(watch.Synced((self.obj(),)))
        out.kept.clear()
        made.take_nodes(watch.WatchEvent("DELETED", self.obj()))
        assert [subject for subject, _ in out.kept] == ["registration", "lease", "in step"]

    def test_a_node_that_was_never_there_is_registered_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, out = self.host(monkeypatch)
        made.take_nodes(watch.Synced(()))
        assert out.kept == []
