"""Who am I, and what may I do: asked of the table that also decides."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.apiserver import authn, authz, registry
from tests.unit.apiserver import cluster

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
ACCESS = f"{AUTHORIZATION}/selfsubjectaccessreviews"


def may(objects: registry.Registry, token: str, **attributes: str) -> Any:
    client = cluster.Client(objects, token=token)
    reply = client("POST", ACCESS, {"spec": {"resourceAttributes": attributes}})
    assert reply.code == 201
    return reply.json["status"]["allowed"]


@pytest.mark.parametrize(
    ("token", "attributes", "allowed"),
    [
        ("admin", {"verb": "*", "resource": "*"}, True),
        ("proxy", {"verb": "watch", "resource": "services"}, True),
        ("proxy", {"verb": "create", "resource": "pods", "namespace": "default"}, False),
        ("proxy", {"verb": "create", "resource": "events", "namespace": "default"}, True),
        ("proxy", {"verb": "delete", "resource": "events", "namespace": "default"}, False),
        ("node1", {"verb": "patch", "resource": "nodes", "name": "node1"}, True),
        ("node1", {"verb": "patch", "resource": "nodes", "name": "node2"}, False),
        ("node1", {"verb": "update", "resource": "nodes", "group": "apps"}, False),
    ],
)
def test_may_i(
    objects: registry.Registry, token: str, attributes: dict[str, str], allowed: bool
) -> None:
    assert may(objects, token, **attributes) is allowed


def test_a_reason_where_there_is_one(objects: registry.Registry) -> None:
    asked = {"verb": "update", "resource": "nodes", "name": "node2"}
    node = cluster.Client(objects, token="node1")
    status = node("POST", ACCESS, {"spec": {"resourceAttributes": asked}}).json["status"]
    assert status["reason"] == 'node "node1" is not allowed to modify node "node2"'


def test_paths(objects: registry.Registry) -> None:
    proxy = cluster.Client(objects, token="proxy")
    for path, allowed in (("/version", True), ("/metrics", False)):
        spec = {"nonResourceAttributes": {"verb": "get", "path": path}}
        assert proxy("POST", ACCESS, {"spec": spec}).json["status"]["allowed"] is allowed


def test_who_am_i(objects: registry.Registry) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    reply = cluster.Client(objects, token="proxy")("POST", path, {"kind": "SelfSubjectReview"})
    assert reply.json["kind"] == "SelfSubjectReview"
    assert reply.json["status"]["userInfo"] == {
        "username": "system:kube-proxy:node1",
        "groups": ["system:node-proxiers", "system:authenticated"],
    }


def test_nothing_else_can_be_done_with_a_question(api: cluster.Client) -> None:
    assert api("GET", ACCESS).code == 405
    assert api("DELETE", f"{ACCESS}/x").code == 405


def test_what_may_i_do(objects: registry.Registry) -> None:
    path = f"{AUTHORIZATION}/selfsubjectrulesreviews"
    for token, verbs in (("admin", ["*"]), ("proxy", ["get", "list", "watch"])):
        client = cluster.Client(objects, token=token)
        status = client("POST", path, {"spec": {"namespace": "default"}}).json["status"]
        assert status["resourceRules"][0]["verbs"] == verbs
        assert status["incomplete"] is False


def test_the_rules_of_a_node_name_what_is_its_own() -> None:
    rules = authz.rules_of(authn.User("system:node:node1", ("system:nodes",)))
    assert {rule.names for rule in rules} == {(), ("node1",)}


def test_the_rules_of_a_stranger_are_questions_and_paths() -> None:
    rules = authz.rules_of(authn.User("ann"))
    assert all(rule.verbs == ("create",) or rule.paths for rule in rules)


def test_a_question_is_about_a_resource_or_a_path(api: cluster.Client) -> None:
    both = {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"verb": "get"}}
    for spec, field in (({}, "resourceAttributes"), (both, "nonResourceAttributes")):
        reply = api("POST", ACCESS, {"spec": spec})
        assert reply.code == 422
        (cause,) = reply.json["details"]["causes"]
        assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", f"spec.{field}")
