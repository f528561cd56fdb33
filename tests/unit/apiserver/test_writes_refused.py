"""What a write is refused for before its content counts, and what metadata may not say."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.apiserver import media
from tests.unit.apiserver import cluster

PATH = "/api/v1/namespaces/default/configmaps"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}


def post(api: cluster.Client, **metadata: Any) -> cluster.Reply:
    return api("POST", PATH, {"metadata": {"name": "a", **metadata}})


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_only_reading_goes_across_all_namespaces(api: cluster.Client, method: str) -> None:
    assert api(method, "/api/v1/configmaps", {"metadata": {"name": "a"}}).code == 405
    assert api("GET", "/api/v1/configmaps").code == 200


@pytest.mark.parametrize("unread", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_is_json_only_when_it_says_so(api: cluster.Client, unread: str) -> None:
    assert api("POST", PATH, {"metadata": {"name": "a"}}, content_type=unread).code == 415
    assert api("POST", PATH, {"metadata": {"name": "a"}}, content_type="").code == 201


def test_whoever_replaces_an_object_names_it(api: cluster.Client) -> None:
    post(api)
    for path in (f"{PATH}/a", "/api/v1/namespaces/default/endpoints/fresh"):
        refused = api("PUT", path, {"metadata": {}})
        assert refused.code == 400
        assert "name must be provided" in refused.json["message"]
    other = {"metadata": {"name": "other"}}
    assert api("PUT", "/api/v1/namespaces/default/endpoints/fresh", other).code == 400


def test_one_owner_controls(api: cluster.Client) -> None:
    owners = [{**OWNER, "name": name, "controller": True} for name in "pq"]
    refused = post(api, ownerReferences=owners)
    assert refused.code == 422
    assert 'Found "true" in references for p and q' in refused.json["message"]
    assert post(api, ownerReferences=[owners[0], {**owners[1], "controller": False}]).code == 201


def test_what_is_being_deleted_gets_no_new_finalizers(api: cluster.Client) -> None:
    post(api, finalizers=["example.org/a", "example.org/b"])
    api("DELETE", f"{PATH}/a")

    def hold(*finalizers: str) -> cluster.Reply:
        change = {"metadata": {"finalizers": list(finalizers)}}
        return api("PATCH", f"{PATH}/a", change, content_type=media.MERGE_PATCH)

    assert 'found new finalizers []string{"example.org/c"}' in hold("example.org/c").json["message"]
    assert hold("example.org/a").code == 200
    assert hold("example.org/a", "example.org/b").code == 422


@pytest.mark.parametrize("change", [{"kind": "Secret"}, {"apiVersion": "v2"}])
def test_a_patch_makes_no_other_kind(api: cluster.Client, change: dict[str, str]) -> None:
    post(api)
    assert api("PATCH", f"{PATH}/a", change, content_type=media.MERGE_PATCH).code == 422
    same = {"kind": "ConfigMap", "data": {"k": "v"}}
    assert api("PATCH", f"{PATH}/a", same, content_type=media.MERGE_PATCH).json["data"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_an_unknown_dry_run_is_no_real_write(api: cluster.Client, method: str) -> None:
    post(api)
    body = {"metadata": {"name": "a"}, "data": {"k": "v"}} if method != "DELETE" else None
    kind = media.MERGE_PATCH if method == "PATCH" else media.JSON
    refused = api(method, f"{PATH}/a?dryRun=Nope", body, content_type=kind)
    assert refused.code == 422
    assert 'supported values: "All"' in refused.json["message"]
    assert "data" not in api("GET", f"{PATH}/a").json


def test_an_empty_list_or_map_is_not_kept(api: cluster.Client) -> None:
    body = {"metadata": {"name": "a", "finalizers": [], "labels": {}}, "data": {}}
    made = api("POST", PATH, body).json
    assert not {"finalizers", "labels"} & made["metadata"].keys()
    assert "data" not in made
