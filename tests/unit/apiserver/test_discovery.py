"""What the server tells of itself: health, kinds, verbs, versions, and how clients keep it."""

from __future__ import annotations

import gzip
import json

import pytest

from labkit.apiserver import kinds, registry
from tests.unit.apiserver import cluster

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
GROUPS = [(group, version) for group, version in kinds.group_versions() if group]


def test_the_core_group(api: cluster.Client) -> None:
    assert api("GET", "/api").json["versions"] == ["v1"]
    listed = {entry["name"]: entry for entry in api("GET", "/api/v1").json["resources"]}
    assert listed["services"]["shortNames"] == ["svc"]
    assert listed["services"]["categories"] == ["all"]
    assert listed["pods/binding"]["kind"] == "Binding"
    assert listed["namespaces/finalize"]["verbs"] == ["update"]
    assert "endpoints/status" not in listed


def test_groups(api: cluster.Client) -> None:
    listed = api("GET", "/apis").json["groups"]
    assert [group["name"] for group in listed] == list(dict(GROUPS))
    (version,) = listed[list(dict(GROUPS)).index("discovery.k8s.io")]["versions"]
    assert version == {"groupVersion": "discovery.k8s.io/v1", "version": "v1"}
    group = api("GET", "/apis/discovery.k8s.io").json
    assert (group["kind"], group["preferredVersion"]) == ("APIGroup", version)


@pytest.mark.parametrize(("group", "version"), GROUPS)
def test_the_kinds_of_a_group(api: cluster.Client, group: str, version: str) -> None:
    document = api("GET", f"/apis/{group}/{version}").json
    assert document["groupVersion"] == f"{group}/{version}"
    members = [entry["name"] for entry in document["resources"] if "/" not in entry["name"]]
    assert members == [kind.resource.plural for kind in kinds.of_group(group, version)]


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_the_aggregated_form(objects: registry.Registry, path: str) -> None:
    reply = cluster.Client(objects, accept=f"{AGGREGATED},application/json")("GET", path)
    assert reply.headers["content-type"].startswith("application/json;g=apidiscovery.k8s.io")
    found = [
        (entry["responseKind"]["group"], entry["resource"])
        for group in reply.json["items"]
        for entry in group["versions"][0]["resources"]
    ]
    core = path == "/api"
    wanted = [kind.resource for kind in kinds.KINDS if (kind.resource.group == "") == core]
    assert sorted(found) == sorted((r.group, r.plural) for r in wanted)


def test_version(api: cluster.Client) -> None:
    assert api("GET", "/version").json["gitVersion"].startswith("v1.32.0+labkit")


@pytest.mark.parametrize("path", ["/api", "/apis", "/openapi/v2", "/openapi/v3"])
def test_a_client_that_has_it_gets_no_body(objects: registry.Registry, path: str) -> None:
    accept = AGGREGATED if path.startswith("/api") else "application/json"
    first = cluster.Client(objects, accept=accept)("GET", path)
    assert "Accept" in first.headers["vary"]
    again = cluster.Client(
        objects, accept=accept, headers={"if-none-match": first.headers["etag"]}
    )("GET", path)
    assert (again.code, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert again.headers["content-type"] == first.headers["content-type"]
    stale = cluster.Client(objects, accept=accept, headers={"if-none-match": '"OLD"'})("GET", path)
    assert (stale.code, stale.body) == (200, first.body)


def test_both_aggregated_versions(objects: registry.Registry) -> None:
    older = AGGREGATED.replace("v=v2", "v=v2beta1")
    reply = cluster.Client(objects, accept=f"{older},application/json")("GET", "/apis")
    assert reply.json["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
    assert "v=v2beta1" in reply.headers["content-type"]
    unknown = AGGREGATED.replace("v=v2", "v=v9")
    assert cluster.Client(objects, accept=unknown)("GET", "/apis").code == 406
    plain = cluster.Client(objects, accept=f"{unknown},application/json")("GET", "/apis")
    assert plain.json["kind"] == "APIGroupList"


class TestPaths:
    @pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/ping"])
    def test_health(self, api: cluster.Client, path: str) -> None:
        assert api("GET", path).body == b"ok"
        assert api("HEAD", path).code == 200

    def test_health_at_length(self, api: cluster.Client) -> None:
        assert api("GET", "/readyz?verbose").body == b"[+]ping ok\nreadyz check passed\n"
        assert api("GET", "/readyz/unicorns").code == 404
        assert api("GET", "/healthzz").code == 404

    def test_the_root_lists_paths_that_exist(self, api: cluster.Client) -> None:
        paths = api("GET", "/").json["paths"]
        assert {"/api/v1", "/apis/apps/v1", "/openapi/v3", "/readyz"} <= set(paths)
        assert all(api("GET", path).code == 200 for path in paths)

    @pytest.mark.parametrize("path", ["/version", "/api/v1", "/api/v1/pods"])
    def test_methods_that_there_are_not(self, api: cluster.Client, path: str) -> None:
        assert api("OPTIONS", path).code == 405
        assert api("HEAD", path).code == 200
        assert api("HEAD", f"{path}?watch=true").code == 200


class TestCompression:
    def many(self, objects: registry.Registry, accept_encoding: str) -> cluster.Reply:
        client = cluster.Client(objects, headers={"accept-encoding": accept_encoding})
        body = {
            "metadata": {"generateName": "long-"},
            "data": {"text": "what is in a list of many " * 1000},
        }
        for _ in range(6):
            client("POST", "/api/v1/namespaces/default/configmaps", body)
        return client("GET", "/api/v1/configmaps")

    def test_long_answers_to_who_takes_it(self, objects: registry.Registry) -> None:
        reply = self.many(objects, "deflate, gzip")
        assert reply.headers["content-encoding"] == "gzip"
        assert int(reply.headers["content-length"]) == len(reply.body) < 20_000
        assert len(json.loads(gzip.decompress(reply.body))["items"]) == 6

    @pytest.mark.parametrize("accept_encoding", ["", "identity", "gzip;q=0", "br"])
    def test_not_to_others(self, objects: registry.Registry, accept_encoding: str) -> None:
        reply = self.many(objects, accept_encoding)
        assert "content-encoding" not in reply.headers
        assert len(reply.json["items"]) == 6

    def test_not_short_ones(self, objects: registry.Registry) -> None:
        client = cluster.Client(objects, headers={"accept-encoding": "gzip"})
        assert "content-encoding" not in client("GET", "/api/v1/services").headers

    def test_answers_are_private(self, api: cluster.Client) -> None:
        assert api("GET", "/api/v1/services").headers["cache-control"] == "no-cache, private"
        assert api("GET", "/api/v1/unicorns").headers["cache-control"] == "no-cache, private"
