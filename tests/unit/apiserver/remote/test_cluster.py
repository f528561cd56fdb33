"""Controllers' writes over HTTP, against the API server's own application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labkit import errors
from labkit.apiserver import binding, kinds, registry
from labkit.apiserver.controllers import controller
from labkit.apiserver.kinds import deployments, endpointslices, events, namespaces, pods
from labkit.apiserver.remote import cluster as remote_cluster
from labkit.apiserver.remote import dialects
from labkit.model import resources
from labkit.model.resources import Object
from tests.unit.apiserver import cluster
from tests.unit.apiserver.remote import direct

FOLLOWED = (resources.PODS, resources.NODES, resources.DEPLOYMENTS, resources.NAMESPACES)


@pytest.fixture
def client(api: cluster.Client) -> direct.DirectClient:
    return direct.DirectClient(api)


@pytest.fixture
def news(objects: registry.Registry) -> direct.News:
    return direct.News(objects, FOLLOWED)


@pytest.fixture
def remote(
    client: direct.DirectClient, news: direct.News, objects: registry.Registry
) -> remote_cluster.RemoteCluster:
    return remote_cluster.RemoteCluster(client, FOLLOWED)


def label(key: str) -> Callable[[Object], Object]:
    def change(old: Object) -> Object:
        old["metadata"].setdefault("labels", {})[key] = "yes"
        return old

    return change


def labels(objects: registry.Registry, name: str = "a") -> dict[str, str]:
    found: dict[str, str] = objects.get(pods.KIND, "default", name).object["metadata"]["labels"]
    return found


def test_it_is_what_controllers_ask_for(remote: remote_cluster.RemoteCluster) -> None:
    cluster_: controller.Cluster = remote
    assert cluster_.clock() > 0


def test_what_is_made_is_in_the_picture_before_the_watch_has_told_it(
    remote: remote_cluster.RemoteCluster, news: direct.News
) -> None:
    made = remote.create(pods.KIND, "default", {**cluster.pod(), "metadata": {"generateName": "a"}})
    told: list[Any] = []
    remote.store.observe(resources.PODS, told.append)
    assert remote.store.get(resources.PODS, "default", made.name) == made
    news.deliver(remote)
    assert told == []


def test_a_change_is_made_again_to_what_somebody_else_wrote_meanwhile(
    remote: remote_cluster.RemoteCluster,
    client: direct.DirectClient,
    objects: registry.Registry,
) -> None:
    remote.create(pods.KIND, "default", cluster.pod())

    def somebody() -> None:
        objects.update(pods.KIND, "default", "a", label("theirs"))

    client.interfere = [somebody]
    after = remote.update(pods.KIND, "default", "a", label("ours"))
    assert {"ours", "theirs"} <= labels(objects).keys()
    assert after.object["metadata"]["labels"] == labels(objects)


def test_no_change_is_no_request(
    remote: remote_cluster.RemoteCluster, client: direct.DirectClient
) -> None:
    remote.create(pods.KIND, "default", cluster.pod())
    client.asked.clear()
    remote.update(pods.KIND, "default", "a", lambda old: old)
    assert client.asked == []


def test_who_writes_without_end_is_let_go_first(
    remote: remote_cluster.RemoteCluster,
    client: direct.DirectClient,
    objects: registry.Registry,
) -> None:
    remote.create(pods.KIND, "default", cluster.pod())
    count = iter(range(100))

    def somebody() -> None:
        objects.update(pods.KIND, "default", "a", label(f"n{next(count)}"))

    client.interfere = [somebody] * 100
    with pytest.raises(errors.Conflict, match="changed 8 times meanwhile"):
        remote.update(pods.KIND, "default", "a", label("ours"))
    assert "ours" not in labels(objects)


def test_a_change_is_not_made_to_a_namesake(
    remote: remote_cluster.RemoteCluster,
    client: direct.DirectClient,
    objects: registry.Registry,
) -> None:
    remote.create(pods.KIND, "default", cluster.pod())

    def somebody() -> None:
        objects.delete(pods.KIND, "default", "a", registry.DeleteOptions(grace_s=0))
        objects.create(pods.KIND, "default", cluster.pod())

    client.interfere = [somebody]
    with pytest.raises(errors.Conflict):
        remote.update(pods.KIND, "default", "a", label("ours"))
    assert "ours" not in labels(objects)


def test_what_was_planned_of_an_older_state_is_not_written_over_a_newer_one(
    remote: remote_cluster.RemoteCluster,
    client: direct.DirectClient,
    objects: registry.Registry,
) -> None:
    planned = remote.create(pods.KIND, "default", cluster.pod()).object
    client.interfere = [lambda: objects.update(pods.KIND, "default", "a", label("theirs"))]
    whole = {**planned, "metadata": {**planned["metadata"], "labels": {"ours": "yes"}}}
    with pytest.raises(errors.Conflict):
        remote.update(pods.KIND, "default", "a", lambda _: whole)
    assert "theirs" in labels(objects)


def test_a_status_has_a_path_of_its_own(
    remote: remote_cluster.RemoteCluster, objects: registry.Registry
) -> None:
    remote.create(deployments.KIND, "default", cluster.deployment())
    remote.update(
        deployments.KIND,
        "default",
        "web",
        lambda old: {**old, "status": {"replicas": 3}, "spec": {**old["spec"], "replicas": 9}},
        subresource="status",
    )
    stored = objects.get(deployments.KIND, "default", "web").object
    assert (stored["status"]["replicas"], stored["spec"]["replicas"]) == (3, 3)


def test_a_pod_is_bound(remote: remote_cluster.RemoteCluster, objects: registry.Registry) -> None:
    remote.create(pods.KIND, "default", cluster.pod())
    binding.bind(remote, "default", "a", "node1")
    assert objects.get(pods.KIND, "default", "a").object["spec"]["nodeName"] == "node1"
    seen = remote.store.get(resources.PODS, "default", "a")
    assert seen
    assert seen.object["spec"]["nodeName"] == "node1"
    with pytest.raises(errors.Conflict, match="already assigned"):
        binding.bind(remote, "default", "a", "node2")


def test_a_pod_that_ends_is_still_there_and_one_that_is_gone_is_not(
    remote: remote_cluster.RemoteCluster, news: direct.News
) -> None:
    remote.create(pods.KIND, "default", cluster.pod())
    binding.bind(remote, "default", "a", "node1")
    ending = remote.delete(pods.KIND, "default", "a", registry.DeleteOptions())
    assert not ending.gone
    assert ending.stored.object["metadata"]["deletionTimestamp"]
    gone = remote.delete(pods.KIND, "default", "a", registry.DeleteOptions(grace_s=0))
    assert gone.gone
    assert remote.store.get(resources.PODS, "default", "a") is None
    news.deliver(remote)
    assert remote.store.get(resources.PODS, "default", "a") is None


def test_only_the_object_that_is_meant_is_deleted(
    remote: remote_cluster.RemoteCluster, objects: registry.Registry
) -> None:
    remote.create(pods.KIND, "default", cluster.pod())
    with pytest.raises(errors.Conflict):
        remote.delete(pods.KIND, "default", "a", registry.DeleteOptions(uid="another"))
    assert objects.get(pods.KIND, "default", "a")


def test_what_owns_others_is_deleted_as_it_is_asked(
    remote: remote_cluster.RemoteCluster, objects: registry.Registry
) -> None:
    remote.create(deployments.KIND, "default", cluster.deployment())
    options = registry.DeleteOptions(propagation="Foreground")
    assert not remote.delete(deployments.KIND, "default", "web", options).gone
    held = objects.get(deployments.KIND, "default", "web").object["metadata"]
    assert held["finalizers"] == ["foregroundDeletion"]


def test_what_is_not_there_is_not_found(remote: remote_cluster.RemoteCluster) -> None:
    with pytest.raises(errors.NotFound):
        remote.update(pods.KIND, "default", "none", label("x"))
    with pytest.raises(errors.NotFound):
        remote.delete(pods.KIND, "default", "none", registry.DeleteOptions())
    with pytest.raises(errors.NotFound):
        remote.create(pods.KIND, "nowhere", cluster.pod())


def test_an_event_is_counted_though_events_are_not_followed(
    remote: remote_cluster.RemoteCluster, objects: registry.Registry
) -> None:
    from labkit.apiserver.controllers import recorder

    made = remote.create(pods.KIND, "default", cluster.pod())
    tell = recorder.Recorder(remote, "tester")
    for _ in range(3):
        tell.record(made.object, "Because", "it is so")
    (event,) = objects.store.list(events.KIND.resource)
    assert event.object["count"] == 3


def test_a_namespace_is_finalized(
    remote: remote_cluster.RemoteCluster, objects: registry.Registry
) -> None:
    remote.create(namespaces.KIND, "", {"metadata": {"name": "shop"}})
    remote.delete(namespaces.KIND, "", "shop", registry.DeleteOptions())
    remote.update(
        namespaces.KIND,
        "",
        "shop",
        lambda old: {**old, "spec": {"finalizers": []}},
        subresource="finalize",
    )
    assert objects.store.get(resources.NAMESPACES, "", "shop") is None


class Older(direct.DirectClient):
    """A server that has EndpointSlices as 1.20 has them."""

    sent: Object

    def request(self, method: str, path: str, **rest: Any) -> Any:
        if path == "/apis/discovery.k8s.io":
            return {"versions": [{"version": "v1beta1"}]}
        assert "/apis/discovery.k8s.io/v1beta1/" in path
        self.sent = rest["body"]
        meta = {**self.sent["metadata"], "resourceVersion": "5", "uid": "u"}
        return {**self.sent, "metadata": meta}


def test_slices_are_written_as_an_older_server_has_them(api: cluster.Client) -> None:
    client = Older(api)
    spoken = {kind: dialect for kind, dialect in dialects.learn(client).items() if dialect}
    remote = remote_cluster.RemoteCluster(client, (resources.ENDPOINT_SLICES,), spoken)
    endpoint = {"addresses": ["10.244.1.2"], "nodeName": "node1"}
    slice_ = {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": [endpoint]}
    made = remote.create(endpointslices.KIND, "default", slice_)
    assert client.sent["apiVersion"] == "discovery.k8s.io/v1beta1"
    topology = {"kubernetes.io/hostname": "node1"}
    assert client.sent["endpoints"] == [{"addresses": ["10.244.1.2"], "topology": topology}]
    assert made.object["endpoints"] == [endpoint]
    assert made.object["apiVersion"] == "discovery.k8s.io/v1"


def test_a_server_may_have_no_slices_at_all(api: cluster.Client) -> None:
    class Bare(direct.DirectClient):
        def request(self, method: str, path: str, **rest: Any) -> Any:
            raise errors.api_error(404, {})

    assert dialects.learn(Bare(api)) == {resources.ENDPOINT_SLICES: None}
    assert dialects.learn(direct.DirectClient(api)) == {}
    assert kinds.find("discovery.k8s.io", "v1", "endpointslices")
