"""The shape and the meaning of every object, as OpenAPI tells them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from labkit.apiserver import kinds, openapi, protobuf, registry, schema
from labkit.apiserver.openapi import definitions, explanations, gnostic
from tests.unit.apiserver import cluster

GROUPS = [(group, version) for group, version in kinds.group_versions() if group]
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
SERVICE = "io.k8s.api.core.v1.ServiceSpec"
PATCH = "/api/v1/namespaces/{namespace}/services/{name}"


@pytest.fixture(scope="module")
def v2() -> Any:
    return json.loads(openapi.v2().text)


@pytest.fixture(scope="module")
def core() -> Any:
    return json.loads(openapi.groups()["api/v1"].text)


class TestV3:
    def test_one_document_for_each_group(self, api: cluster.Client) -> None:
        paths = api("GET", "/openapi/v3").json["paths"]
        assert list(paths) == ["api/v1", *(f"apis/{group}/{v}" for group, v in GROUPS)]
        for entry in paths.values():
            reply = api("GET", entry["serverRelativeURL"])
            schemas = reply.json["components"]["schemas"]
            for reference in _references(reply.json):
                assert reference.removeprefix("#/components/schemas/") in schemas
            assert "immutable" in reply.headers["cache-control"]
        assert api("GET", "/openapi/v3/apis/nowhere/v1").code == 404

    def test_an_old_hash_leads_to_the_new_one(self, api: cluster.Client) -> None:
        reply = api("GET", "/openapi/v3/api/v1?hash=OLD")
        assert reply.code == 301
        assert api("GET", reply.headers["location"]).code == 200

    def test_what_kubectl_reads(self, core: Any) -> None:
        patch = core["paths"][PATCH]["patch"]
        names = {parameter["name"] for parameter in patch["parameters"]}
        assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= names
        assert patch["x-kubernetes-group-version-kind"]["kind"] == "Service"
        ports = core["components"]["schemas"][SERVICE]["properties"]["ports"]
        assert ports["x-kubernetes-patch-merge-key"] == "port"
        assert ports["x-kubernetes-list-map-keys"] == ["port", "protocol"]

    def test_operations_have_names_of_their_own(self) -> None:
        for document in openapi.groups().values():
            found = [each["operationId"] for each in _operations(json.loads(document.text))]
            assert len(found) == len(set(found))

    def test_verbs_of_paths(self, core: Any) -> None:
        paths = core["paths"]
        assert set(paths["/api/v1/services"]) == {"get", "parameters"}
        collection = paths["/api/v1/namespaces/{namespace}/services"]
        assert set(collection) == {"get", "post", "delete", "parameters"}
        assert collection["delete"]["x-kubernetes-action"] == "deletecollection"
        answer = collection["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer["$ref"].endswith("v1.ServiceList")
        execute = paths["/api/v1/namespaces/{namespace}/pods/{name}/exec"]["post"]
        assert execute["x-kubernetes-action"] == "connect"
        assert "requestBody" not in execute

    def test_facts_of_a_field(self, core: Any) -> None:
        spec = core["components"]["schemas"][SERVICE]["properties"]
        assert spec["type"]["default"] == "ClusterIP"
        assert spec["type"]["enum"] == ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]
        assert spec["selector"]["x-kubernetes-map-type"] == "atomic"
        port = core["components"]["schemas"]["io.k8s.api.core.v1.ServicePort"]
        assert port["required"] == ["port"]
        (target,) = port["properties"]["targetPort"]["allOf"]
        assert target["$ref"].endswith("IntOrString")


class TestV2:
    def test_all_groups_in_one(self, v2: Any) -> None:
        for reference in _references(v2):
            assert reference.removeprefix("#/definitions/") in v2["definitions"]
        assert {"/api/v1/nodes", "/apis/apps/v1/deployments"} <= set(v2["paths"])

    def test_unions_tell_what_stays(self, v2: Any) -> None:
        spec = v2["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]
        assert spec["volumes"]["x-kubernetes-patch-strategy"] == "merge,retainKeys"
        spec = v2["definitions"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]
        assert spec["strategy"]["x-kubernetes-patch-strategy"] == "retainKeys"

    def test_protobuf_says_the_same(self, objects: registry.Registry, v2: Any) -> None:
        reply = cluster.Client(objects, accept=PROTOBUF)("GET", "/openapi/v2")
        assert reply.headers["content-type"] == PROTOBUF.replace("@", ".")
        document = _message(reply.body)
        names = [_text(_message(pair), 1) for pair in _message(document[9][0])[1]]
        assert names == list(v2["definitions"])
        paths = [_text(_message(pair), 1) for pair in _message(document[8][0])[2]]
        assert paths == list(v2["paths"])

    def test_gzip_as_it_is_kept(self, objects: registry.Registry, v2: Any) -> None:
        client = cluster.Client(objects, headers={"accept-encoding": "gzip"})
        reply = client("GET", "/openapi/v2")
        assert reply.headers["vary"] == "Accept, Accept-Encoding"
        assert json.loads(gzip.decompress(reply.body)) == v2

    @pytest.mark.parametrize("accept", ["text/html", "application/vnd.kubernetes.protobuf"])
    def test_forms_that_there_are_not(self, objects: registry.Registry, accept: str) -> None:
        for path in ("/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"):
            assert cluster.Client(objects, accept=accept)("GET", path).code == 406


def test_a_schema_in_protobuf() -> None:
    """Field by field, against the bytes worked out by hand from gnostic's own definition."""
    document = {"definitions": {"A": {"type": "object", "x-b": [1]}}}
    schema_bytes = b"\xb2\x01\x08\n\x06object" + b"\xfa\x01\x0c\n\x03x-b\x12\x05\x12\x03[1]"
    named = b"\n\x01A\x12" + bytes([len(schema_bytes)]) + schema_bytes
    inner = b"\n" + bytes([len(named)]) + named
    assert gnostic.encode(document) == b"J" + bytes([len(inner)]) + inner


class TestExplanations:
    def test_every_struct_and_field_is_explained(self) -> None:
        words = explanations.load()
        assert set(schema.structs()) <= set(words)
        untold = [
            f"{name}.{field.name}"
            for name, fields in schema.structs().items()
            for field in fields.values()
            if not explanations.of_field(words, name, field).text
        ]
        assert untold == []

    def test_nothing_is_explained_that_there_is_not(self) -> None:
        for name, told in explanations.load().items():
            if name not in (explanations.EVERY, "Query"):
                assert set(told.fields) <= set(schema.fields_of(name)), name

    def test_defaults_are_of_the_fields_type_and_among_its_values(self, v2: Any) -> None:
        types = {"string": str, "boolean": bool, "integer": int}
        for definition in v2["definitions"].values():
            for told in definition.get("properties", {}).values():
                if "default" in told:
                    assert type(told["default"]) is types[told["type"]]
                    assert told["default"] in told.get("enum", [told["default"]])

    def test_the_notation(self) -> None:
        text = "A < B: One\n    two.\n  c {x|y} =x: Three:\n    four.\n"
        ((name, told),) = explanations.parse(text)
        assert (name, told.text, told.like) == ("A", "One two.", "B")
        field = told.fields["c"]
        assert (field.text, field.enum, field.default) == ("Three: four.", ("x", "y"), "x")

    @pytest.mark.parametrize("text", ["no colon", "   three: spaces", "A: x\n  a b: c"])
    def test_what_cannot_be_read(self, text: str) -> None:
        with pytest.raises(explanations.SyntaxProblem):
            list(explanations.parse(text))


def test_structs_of_one_name_have_names_of_their_own() -> None:
    assert definitions.name_of("EndpointPort") == "io.k8s.api.core.v1.EndpointPort"
    assert definitions.name_of("discovery.EndpointPort") == "io.k8s.api.discovery.v1.EndpointPort"


def _operations(document: Any) -> Iterator[Any]:
    for item in document["paths"].values():
        yield from (each for name, each in item.items() if name != "parameters")


def _message(data: bytes) -> dict[int, list[bytes]]:
    """A message's fields by number."""
    found: dict[int, list[bytes]] = {}
    for number, value in protobuf.read_message(data):
        assert isinstance(value, bytes)
        found.setdefault(number, []).append(value)
    return found


def _text(message: dict[int, list[bytes]], number: int) -> str:
    return message[number][0].decode()


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
