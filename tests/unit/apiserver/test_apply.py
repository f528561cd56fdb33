"""PATCH with application/apply-patch+yaml, and who is noted for other writes."""

from __future__ import annotations

from typing import Any

import pytest

from labkit import errors
from labkit.apiserver import binding, manifests, media, registry
from labkit.apiserver.kinds import pods, services
from tests.unit.apiserver import cluster

PATH = "/api/v1/namespaces/default/services/app1"
CONFIGS = "/api/v1/namespaces/default/configmaps"


def apply(
    api: cluster.Client, body: Any, path: str = PATH, *, who: str = "ann", **query: str
) -> cluster.Reply:
    words = "&".join(f"{key}={value}" for key, value in {"fieldManager": who, **query}.items())
    return api("PATCH", f"{path}?{words}", body, content_type=media.APPLY_PATCH)


def merge(api: cluster.Client, body: Any, path: str = PATH, who: str = "bob") -> cluster.Reply:
    return api("PATCH", f"{path}?fieldManager={who}", body, content_type=media.MERGE_PATCH)


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def managers(reply: cluster.Reply) -> dict[tuple[str, str], Any]:
    assert reply.code < 300, reply.message
    managed = reply.json["metadata"].get("managedFields", [])
    return {(each["manager"], each.get("subresource", "")): each["fieldsV1"] for each in managed}


class TestRequest:
    def test_it_creates_with_201(self, api: cluster.Client) -> None:
        assert apply(api, cluster.service()).code == 201
        assert apply(api, cluster.service()).code == 200

    def test_nothing_new_is_not_written(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        apply(api, cluster.service())
        clock: Any = objects.clock
        clock.now += 60
        revision = objects.store.revision
        apply(api, cluster.service())
        assert objects.store.revision == revision

    def test_a_dry_run_is_not_written(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        assert apply(api, cluster.service(), dryRun="All").code == 201
        assert objects.store.get(services.KIND.resource, "default", "app1") is None

    def test_yaml(self, api: cluster.Client) -> None:
        text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  80: 2001-01-01\n"
        assert apply(api, text, f"{CONFIGS}/c").json["data"] == {"80": "2001-01-01"}

    @pytest.mark.parametrize(
        ("body", "code", "message"),
        [
            ({"kind": "Service"}, 400, "Incorrect version specified in apply patch."),
            ({"apiVersion": "v1", "kind": "Pod"}, 400, "invalid object type: v1, Kind=Pod"),
            (b"[1]", 400, "error decoding YAML: an apply patch is an object"),
            (b"a: [", 400, "error decoding YAML: yaml: "),
            (b"a: &x {}\nb: *x\n", 400, "error decoding YAML: yaml: aliases are not taken"),
            (
                {**cluster.service(), "metadata": {"managedFields": []}},
                400,
                "metadata.managedFields must be nil",
            ),
            (
                {**cluster.service(), "metadata": {"name": "other"}},
                400,
                "the name of the object (other) does not match the name on the URL (app1)",
            ),
            (
                {**cluster.service(), "metadata": {"uid": "1"}},
                409,
                'Operation cannot be fulfilled on services "app1": uid mismatch: the provided',
            ),
            (
                cluster.service(wrong=1, worse=1),
                500,
                "failed to create typed patch object (default/app1; /v1, Kind=Service): errors:\n",
            ),
            (
                cluster.service(ports=1),
                500,
                "failed to create typed patch object (default/app1; /v1, Kind=Service): json: ",
            ),
        ],
    )
    def test_what_it_refuses(self, api: cluster.Client, body: Any, code: int, message: str) -> None:
        reply = apply(api, body)
        assert reply.message.startswith(message)
        assert reply.code == code

    def test_a_manager_is_asked_for(self, api: cluster.Client) -> None:
        reply = apply(api, cluster.service(), who="")
        assert reply.code == 422
        assert reply.message == (
            'PatchOptions.meta.k8s.io "" is invalid: '
            "fieldManager: Required value: is required for apply patch"
        )
        assert apply(api, cluster.service(), who="a" * 129).code == 422
        apply(api, cluster.service())
        assert merge(api, {"spec": {}}, who="a%00b").code == 422
        assert merge(api, {"spec": {}}, who="bob&force=true").code == 422

    def test_what_is_too_large_to_be_read_as_yaml(self, api: cluster.Client) -> None:
        text = b"# " + b"x" * manifests.MAX_YAML_BYTES
        assert apply(api, text).code == 413
        assert apply(api, config(a="x" * manifests.MAX_YAML_BYTES), f"{CONFIGS}/c").code == 201

    def test_an_old_version_or_another_object(self, api: cluster.Client) -> None:
        made = apply(api, cluster.service()).json["metadata"]
        wanted = cluster.service(sessionAffinity="ClientIP")
        for field, code in (("resourceVersion", 409), ("uid", 409)):
            wanted["metadata"] = {"name": "app1", field: "1"}
            assert apply(api, wanted).code == code
        wanted["metadata"] = {field: made[field] for field in ("name", "uid", "resourceVersion")}
        assert apply(api, wanted).code == 200

    def test_who_may_only_read(self, api: cluster.Client) -> None:
        api.token = "proxy"
        assert apply(api, cluster.service()).code == 403

    def test_a_subresource_needs_its_object(self, api: cluster.Client) -> None:
        assert apply(api, cluster.service(), f"{PATH}/status").code == 404


class TestConflicts:
    def test_its_causes(self, api: cluster.Client) -> None:
        apply(api, config(a="1", b="1"), f"{CONFIGS}/c")
        merge(api, {"data": {"a": "2"}}, f"{CONFIGS}/c")
        reply = apply(api, config(a="1", b="1"), f"{CONFIGS}/c")
        assert (reply.code, reply.json["reason"]) == (409, "Conflict")
        assert reply.message == (
            'Apply failed with 1 conflict: conflict with "bob" using v1: .data.a'
        )
        assert reply.json["details"] == {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "bob" using v1',
                    "field": ".data.a",
                }
            ]
        }

    def test_by_force(self, api: cluster.Client) -> None:
        apply(api, config(a="1"), f"{CONFIGS}/c")
        forced = apply(api, config(a="2"), f"{CONFIGS}/c", who="eve", force="true")
        assert managers(forced) == {("eve", ""): {"f:data": {"f:a": {}}}}


class TestOtherWrites:
    def test_a_program_is_known_by_its_user_agent(self, objects: registry.Registry) -> None:
        class Browser(cluster.Client):
            def scope(self, method: str, path: str, content_type: str = "") -> dict[str, Any]:
                scope = super().scope(method, path, content_type)
                scope["headers"].append((b"user-agent", b"Mozilla/5.0 (X11)"))
                return scope

        reply = Browser(objects)("POST", CONFIGS, config(a="1"))
        assert managers(reply) == {("Mozilla", ""): {"f:data": {".": {}, "f:a": {}}}}

    def test_a_change_takes_the_field_away(self, api: cluster.Client) -> None:
        api("POST", f"{CONFIGS}?fieldManager=ann", config(a="1", b="1"))
        reply = merge(api, {"data": {"a": "2", "b": None}}, f"{CONFIGS}/c")
        assert managers(reply) == {
            ("ann", ""): {"f:data": {}},
            ("bob", ""): {"f:data": {"f:a": {}}},
        }

    def test_managed_fields_can_be_given(self, api: cluster.Client) -> None:
        made = api("POST", f"{CONFIGS}?fieldManager=ann", config(a="1")).json
        (entry,) = made["metadata"]["managedFields"]
        entry["manager"] = "zoe"
        entry["fieldsV1"] = {"f:data": {"f:a": {}}}
        reply = api("PUT", f"{CONFIGS}/c", made)
        assert managers(reply) == {("zoe", ""): {"f:data": {"f:a": {}}}}

    @pytest.mark.parametrize("sent", [[], [{"operation": "Guess"}], None])
    def test_what_is_no_list_of_managers_counts_for_nothing(
        self, api: cluster.Client, sent: Any
    ) -> None:
        made = api("POST", f"{CONFIGS}?fieldManager=ann", config(a="1"))
        body = {**made.json, "metadata": {"name": "c", "managedFields": sent}}
        assert managers(api("PUT", f"{CONFIGS}/c", body)) == managers(made)

    def test_forgotten_managers_stay_forgotten(self, api: cluster.Client) -> None:
        api("POST", CONFIGS, config(a="1"))
        merge(api, {"metadata": {"managedFields": [{}]}}, f"{CONFIGS}/c")
        reply = merge(api, {"data": {"a": "2"}}, f"{CONFIGS}/c")
        assert "managedFields" not in reply.json["metadata"]

    def test_the_server_and_the_scheduler_have_names(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        found = api("GET", "/api/v1/namespaces/default/services/kubernetes")
        assert set(managers(found)) == {("kube-apiserver", "")}
        objects.create(pods.KIND, "default", cluster.pod())
        binding.bind(objects, "default", "a", "node1")
        found = api("GET", "/api/v1/namespaces/default/pods/a")
        assert "f:nodeName" not in managers(found)["kube-controller-manager", ""]["f:spec"]

    def test_the_scale_has_a_manager_of_its_own(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        path = "/apis/apps/v1/namespaces/default/deployments"
        api("POST", path, cluster.deployment())
        scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 7}}
        reply = apply(api, scale, f"{path}/web/scale", force="true")
        assert reply.json["spec"]["replicas"] == 7
        found = managers(api("GET", f"{path}/web"))
        assert found["ann", "scale"] == {"f:spec": {"f:replicas": {}}}

    def test_the_kept_object_is_small(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        apply(api, cluster.service())
        stored = objects.store.get(services.KIND.resource, "default", "app1")
        assert stored
        assert "managedFields" not in stored.object["metadata"]
        assert b"managedFields" in stored.text


def test_json_is_read_as_json() -> None:
    assert manifests.parse(b' {"a": [1.5, null, "2001-01-01"]}') == {"a": [1.5, None, "2001-01-01"]}
    assert manifests.parse(b"{a: yes, b: 1}") == {"a": True, "b": 1}
    with pytest.raises(errors.ApiError):
        manifests.parse(b"a" * (manifests.MAX_YAML_BYTES + 1))
