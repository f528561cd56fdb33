"""What the server tells of itself: kinds, verbs, versions, and the shape of every object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from labkit.apiserver import kinds, openapi, registry
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


class TestOpenApi:
    def test_one_document_for_each_group(self, api: cluster.Client) -> None:
        paths = api("GET", "/openapi/v3").json["paths"]
        assert list(paths) == ["api/v1", *(f"apis/{group}/{v}" for group, v in GROUPS)]
        for entry in paths.values():
            document = api("GET", entry["serverRelativeURL"]).json
            schemas = document["components"]["schemas"]
            for reference in _references(document):
                assert reference.removeprefix("#/components/schemas/") in schemas
        assert api("GET", "/openapi/v3/apis/nowhere/v1").code == 404

    def test_what_kubectl_reads(self, api: cluster.Client) -> None:
        document = api("GET", "/openapi/v3/api/v1").json
        patch = document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["patch"]
        assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
        spec = document["components"]["schemas"]["io.k8s.api.core.v1.ServiceSpec"]
        assert spec["properties"]["ports"]["x-kubernetes-patch-merge-key"] == "port"

    def test_the_older_form_has_all_groups(self, api: cluster.Client) -> None:
        older = api("GET", "/openapi/v2").json
        for reference in _references(older):
            assert reference.removeprefix("#/definitions/") in older["definitions"]

    def test_structs_of_one_name_have_names_of_their_own(self) -> None:
        assert openapi.definition_name("EndpointPort") == "io.k8s.api.core.v1.EndpointPort"
        assert openapi.definition_name("discovery.EndpointPort") == (
            "io.k8s.api.discovery.v1.EndpointPort"
        )


def test_version(api: cluster.Client) -> None:
    assert api("GET", "/version").json["gitVersion"].startswith("v1.32.0+labkit")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
