"""What becomes of the objects that a deleted one owned."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from labkit.apiserver import registry
from labkit.apiserver.controllers import garbage
from labkit.apiserver.kinds import pods, replicasets
from labkit.model import resources
from tests.unit.apiserver import cluster

PATH = "/apis/apps/v1/namespaces/default/replicasets"


@contextlib.asynccontextmanager
async def collecting(objects: registry.Registry) -> AsyncIterator[None]:
    task = asyncio.ensure_future(garbage.Controller(objects).run())
    await settle()
    yield
    task.cancel()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def make_owner(objects: registry.Registry, name: str = "web") -> resources.Object:
    return objects.create(replicasets.KIND, "default", cluster.replica_set(name)).object


def make_pod(
    objects: registry.Registry, name: str, *owners: resources.Object, node: str = ""
) -> None:
    obj = cluster.pod(name, nodeName=node)
    obj["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for owner in owners
    ]
    objects.create(pods.KIND, "default", obj)


def delete(objects: registry.Registry, how: registry.Propagation, name: str = "web") -> None:
    options = registry.DeleteOptions(propagation=how)
    objects.delete(replicasets.KIND, "default", name, options)


def left(objects: registry.Registry, resource: resources.Resource) -> list[str]:
    return [stored.name for stored in objects.store.list(resource, "default")]


def test_in_the_background_the_owner_goes_first(objects: registry.Registry) -> None:
    async def scenario() -> None:
        async with collecting(objects):
            make_pod(objects, "a", make_owner(objects))
            delete(objects, "Background")
            assert left(objects, resources.REPLICA_SETS) == []
            assert left(objects, resources.PODS) == ["a"]
            await settle()
            assert left(objects, resources.PODS) == []

    asyncio.run(scenario())


def test_in_the_foreground_the_owner_waits(objects: registry.Registry) -> None:
    async def scenario() -> None:
        async with collecting(objects):
            make_pod(objects, "a", make_owner(objects), node="node1")
            delete(objects, "Foreground")
            await settle()
            assert left(objects, resources.REPLICA_SETS) == ["web"]
            objects.delete(pods.KIND, "default", "a", registry.DeleteOptions(0))
            await settle()
            assert left(objects, resources.PODS) == []
            assert left(objects, resources.REPLICA_SETS) == []

    asyncio.run(scenario())


def test_orphans_stay(objects: registry.Registry) -> None:
    async def scenario() -> None:
        async with collecting(objects):
            make_pod(objects, "a", make_owner(objects))
            delete(objects, "Orphan")
            await settle()
            assert left(objects, resources.REPLICA_SETS) == []
            pod = objects.get(pods.KIND, "default", "a").object
            assert pod["metadata"]["ownerReferences"] == []

    asyncio.run(scenario())


def test_who_has_another_owner_stays(objects: registry.Registry) -> None:
    async def scenario() -> None:
        async with collecting(objects):
            make_pod(objects, "a", make_owner(objects), make_owner(objects, "other"))
            delete(objects, "Background")
            await settle()
            assert left(objects, resources.PODS) == ["a"]
            delete(objects, "Background", "other")
            await settle()
            assert left(objects, resources.PODS) == []

    asyncio.run(scenario())


def test_a_namesake_is_no_owner_and_a_restart_forgets_nothing(objects: registry.Registry) -> None:
    owner = make_owner(objects)
    make_pod(objects, "a", owner)
    delete(objects, "Background")
    make_owner(objects)

    async def scenario() -> None:
        async with collecting(objects):
            assert left(objects, resources.PODS) == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "finalizers"),
    [
        ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, ["orphan"]),
        ({"orphanDependents": True}, ["orphan"]),
    ],
)
def test_how_a_client_says_it(
    api: cluster.Client, body: dict[str, object], finalizers: list[str]
) -> None:
    api("POST", PATH, cluster.replica_set())
    held = api("DELETE", f"{PATH}/web", {"kind": "DeleteOptions", "apiVersion": "v1", **body}).json
    assert held["metadata"]["finalizers"] == finalizers
    assert held["metadata"]["deletionTimestamp"]


def test_an_unknown_way(api: cluster.Client) -> None:
    api("POST", PATH, cluster.replica_set())
    refused = api("DELETE", f"{PATH}/web?propagationPolicy=Sideways")
    assert refused.code == 422
    assert 'propagationPolicy: Unsupported value: "Sideways"' in refused.message
