"""POST pods/NAME/eviction: what `kubectl drain` asks for."""

from __future__ import annotations

from typing import Any

from labkit.apiserver import registry
from labkit.apiserver.kinds import pods
from tests.unit.apiserver import cluster

PATH = "/api/v1/namespaces/default/pods/a/eviction"


def eviction(**options: Any) -> dict[str, Any]:
    meta = {"name": "a", "namespace": "default"}
    said = {"deleteOptions": options} if options else {}
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta, **said}


def test_the_pod_gets_its_time_to_end(objects: registry.Registry, api: cluster.Client) -> None:
    objects.create(pods.KIND, "default", cluster.pod(nodeName="node1"))
    reply = api("POST", PATH, eviction())
    assert (reply.code, reply.json["status"]) == (201, "Success")
    assert objects.get(pods.KIND, "default", "a").object["metadata"]["deletionTimestamp"]


def test_its_options_are_those_of_a_deletion(
    objects: registry.Registry, api: cluster.Client
) -> None:
    objects.create(pods.KIND, "default", cluster.pod(nodeName="node1"))
    stale = eviction(preconditions={"uid": "another"})
    assert api("POST", PATH, stale).code == 409
    assert api("POST", PATH, eviction(dryRun=["All"])).code == 201
    assert "deletionTimestamp" not in objects.get(pods.KIND, "default", "a").object["metadata"]
    assert api("POST", PATH, eviction(gracePeriodSeconds=0)).code == 201
    assert api("POST", PATH, eviction()).code == 404


def test_clients_learn_of_it(api: cluster.Client) -> None:
    listed = api("GET", "/api/v1").json["resources"]
    (found,) = [each for each in listed if each["name"] == "pods/eviction"]
    assert (found["group"], found["version"], found["kind"]) == ("policy", "v1", "Eviction")
    groups = api("GET", "/apis").json["groups"]
    assert "policy" in [group["name"] for group in groups]
    assert api("GET", "/apis/policy/v1").json["resources"] == []
