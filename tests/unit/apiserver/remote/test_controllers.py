"""What is different beside somebody else's server: it is asked before anything is deleted."""

from __future__ import annotations

from typing import Any

import pytest

from labkit import errors
from labkit.apiserver import registry
from labkit.apiserver.kinds import namespaces, pods, replicasets
from labkit.apiserver.remote import cluster as remote_cluster
from labkit.apiserver.remote import collector, emptying, main
from labkit.client import watch
from labkit.model import resources
from tests.unit.apiserver import cluster
from tests.unit.apiserver.remote import direct


def synced(api: cluster.Client) -> tuple[remote_cluster.RemoteCluster, direct.DirectClient]:
    client = direct.DirectClient(api)
    known = main.followed(main.MANAGER)
    remote = remote_cluster.RemoteCluster(client, known)
    for resource in known:
        listed = client.list(resource)
        version = listed["metadata"]["resourceVersion"]
        remote.take(resource, watch.Synced(tuple(listed["items"]), version))
    return remote, client


def owned(owner: dict[str, Any], name: str = "a") -> dict[str, Any]:
    pod = cluster.pod(name)
    pod["metadata"]["ownerReferences"] = [owner]
    return pod


def refer(kind: str, version: str, name: str, uid: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True}


def collect(remote: remote_cluster.RemoteCluster) -> None:
    made = collector.Controller(remote)
    for key in list(made._keys._waiting):
        made._sync(*key)


def is_there(objects: registry.Registry, name: str = "a") -> bool:
    return objects.store.get(resources.PODS, "default", name) is not None


def test_what_a_kind_owns_that_labkit_does_not_know_is_none_of_its_business(
    api: cluster.Client, objects: registry.Registry
) -> None:
    objects.create(pods.KIND, "default", owned(refer("Job", "batch/v1", "j", "u")))
    collect(synced(api)[0])
    assert is_there(objects)


def test_an_owner_that_the_watch_has_not_told_of_yet_lives(
    api: cluster.Client, objects: registry.Registry
) -> None:
    remote, _ = synced(api)
    owner = objects.create(replicasets.KIND, "default", cluster.replica_set())
    uid = owner.object["metadata"]["uid"]
    pod = objects.create(pods.KIND, "default", owned(refer("ReplicaSet", "apps/v1", "web", uid)))
    remote.take(resources.PODS, watch.WatchEvent("ADDED", pod.object))
    collect(remote)
    assert is_there(objects)


def test_what_nobody_owns_any_more_goes(api: cluster.Client, objects: registry.Registry) -> None:
    objects.create(pods.KIND, "default", owned(refer("ReplicaSet", "apps/v1", "web", "gone")))
    collect(synced(api)[0])
    assert not is_there(objects)


def test_a_namespace_is_emptied_of_every_kind_that_the_server_has(
    api: cluster.Client, objects: registry.Registry
) -> None:
    objects.create(namespaces.KIND, "", {"metadata": {"name": "shop"}})
    objects.create(pods.KIND, "shop", cluster.pod())
    objects.create(replicasets.KIND, "shop", cluster.replica_set())
    objects.delete(namespaces.KIND, "", "shop", registry.DeleteOptions())
    remote, client = synced(api)
    emptying.Controller(remote, client)._sync("", "shop")
    assert objects.store.get(resources.NAMESPACES, "", "shop") is None
    assert not list(objects.store.list(resources.PODS, "shop"))
    assert not list(objects.store.list(resources.REPLICA_SETS, "shop"))


def test_a_part_of_the_server_that_is_away_keeps_the_namespace(
    api: cluster.Client, objects: registry.Registry
) -> None:
    class Half(direct.DirectClient):
        def request(self, method: str, path: str, **rest: Any) -> Any:
            if path == "/apis/apps/v1":
                raise errors.api_error(503, {"message": "it is away"})
            return super().request(method, path, **rest)

    objects.create(namespaces.KIND, "", {"metadata": {"name": "shop"}})
    objects.delete(namespaces.KIND, "", "shop", registry.DeleteOptions())
    remote, _ = synced(api)
    with pytest.raises(errors.ApiError, match="it is away"):
        emptying.Controller(remote, Half(api))._sync("", "shop")
    assert objects.store.get(resources.NAMESPACES, "", "shop") is not None
