"""The application: verbs, refusals, forms of answer, watches."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from labkit.apiserver import app, discovery, kinds, registry
from labkit.apiserver.kinds import pods, services
from tests.unit.apiserver import cluster

SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
REPLICA_SETS = "/apis/apps/v1/namespaces/default/replicasets"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class TestVerbs:
    def test_an_object_through_its_life(self, api: cluster.Client) -> None:
        made = api("POST", SERVICES, cluster.service())
        assert made.code == 201
        assert made.json["spec"]["ports"][0]["nodePort"] == 30062
        assert api("GET", f"{SERVICES}/app1").json == made.json
        changed = {**made.json, "metadata": {**made.json["metadata"], "labels": {"a": "b"}}}
        assert api("PUT", f"{SERVICES}/app1", changed).json["metadata"]["labels"] == {"a": "b"}
        assert api("DELETE", f"{SERVICES}/app1").json["kind"] == "Service"
        assert api("GET", f"{SERVICES}/app1").message == 'services "app1" not found'

    def test_a_stale_put_is_a_conflict(self, api: cluster.Client) -> None:
        made = api("POST", SERVICES, cluster.service()).json
        api("PATCH", f"{SERVICES}/app1", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
        refused = api("PUT", f"{SERVICES}/app1", made)
        assert (refused.code, refused.json["reason"]) == (409, "Conflict")
        assert refused.message == (
            'Operation cannot be fulfilled on services "app1": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )

    def test_a_put_that_changes_nothing_writes_nothing(self, api: cluster.Client) -> None:
        made = api("POST", SERVICES, cluster.service()).json
        assert api("PUT", f"{SERVICES}/app1", made).json == made

    def test_patches(self, api: cluster.Client) -> None:
        api("POST", SERVICES, cluster.service())
        path = f"{SERVICES}/app1"
        merged = api("PATCH", path, {"spec": {"type": "ClusterIP"}}, content_type=MERGE)
        assert merged.json["spec"]["type"] == "ClusterIP"
        port = {"spec": {"ports": [{"port": 8080, "targetPort": 9}]}}
        strategic = api("PATCH", path, port, content_type=STRATEGIC)
        assert strategic.json["spec"]["ports"][0]["targetPort"] == 9
        operations = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
        patched = api("PATCH", path, operations, content_type="application/json-patch+json")
        assert patched.json["metadata"]["labels"] == {"a": "b"}
        unknown = api("PATCH", path, {}, content_type="application/yaml")
        assert unknown.code == 415

    def test_generated_names(self, api: cluster.Client) -> None:
        body = cluster.pod()
        body["metadata"] = {"generateName": "web-"}
        names = {api("POST", PODS, body).json["metadata"]["name"] for _ in range(3)}
        assert len(names) == 3
        assert all(name.startswith("web-") and len(name) == 9 for name in names)

    def test_a_collection_is_deleted_by_selector(self, api: cluster.Client) -> None:
        for name, tier in (("a", "x"), ("b", "x"), ("c", "y")):
            api("POST", PODS, cluster.pod(name, labels={"tier": tier}))
        deleted = api("DELETE", f"{PODS}?labelSelector=tier%3Dx".replace("%3D", "="))
        assert [item["metadata"]["name"] for item in deleted.json["items"]] == ["a", "b"]
        left = api("GET", PODS).json["items"]
        assert [item["metadata"]["name"] for item in left] == ["c"]

    def test_binding(self, api: cluster.Client) -> None:
        api("POST", PODS, cluster.pod())
        body = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "node1"}}
        assert api("POST", f"{PODS}/a/binding", body).code == 201
        pod = api("GET", f"{PODS}/a").json
        assert pod["spec"]["nodeName"] == "node1"
        assert pod["status"]["conditions"][0]["type"] == "PodScheduled"
        again = api("POST", f"{PODS}/a/binding", body)
        assert (again.code, again.json["reason"]) == (409, "Conflict")
        body["target"] = {}
        refused = api("POST", f"{PODS}/a/binding", body)
        assert (refused.code, refused.message) == (500, "target.name: Required value")

    def test_a_binding_names_its_pod_as_the_url_does(self, api: cluster.Client) -> None:
        api("POST", PODS, cluster.pod())
        target = {"kind": "Node", "name": "node1"}
        for meta in ({}, {"name": "b"}):
            refused = api("POST", f"{PODS}/a/binding", {"metadata": meta, "target": target})
            assert refused.code == 400
            assert refused.message == "name in URL does not match name in Binding object"
        assert "nodeName" not in api("GET", f"{PODS}/a").json["spec"]

    def test_items_of_a_list_do_not_say_what_they_are(self, api: cluster.Client) -> None:
        obj = cluster.pod()
        api("POST", PODS, {"metadata": obj["metadata"], "spec": obj["spec"], "kind": "Pod"})
        listed, alone = api("GET", PODS).json, api("GET", f"{PODS}/a").json
        assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
        assert list(alone)[:2] == ["kind", "apiVersion"]
        assert listed["items"] == [
            {k: v for k, v in alone.items() if k not in ("kind", "apiVersion")}
        ]

    def test_bodies_in_yaml(self, api: cluster.Client) -> None:
        path = "/api/v1/namespaces/default/configmaps"
        text = b"kind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: 'on'\n"
        made = api("POST", path, text, content_type="application/yaml")
        assert (made.code, made.json["data"]) == (201, {"k": "on"})
        changed = text.replace(b"'on'", b"'off'")
        put = api("PUT", f"{path}/a", changed, content_type="application/yaml; charset=utf-8")
        assert (put.code, put.json["data"]) == (200, {"k": "off"})
        broken = api("POST", path, b"a: [", content_type="application/yaml")
        assert broken.code == 400
        assert "yaml: while parsing" in broken.message

    def test_status_alone(self, api: cluster.Client) -> None:
        api("POST", PODS, cluster.pod())
        body = {"spec": {"nodeName": "x"}, "status": {"phase": "Running"}}
        patched = api("PATCH", f"{PODS}/a/status", body, content_type=MERGE).json
        assert patched["status"]["phase"] == "Running"
        assert "nodeName" not in patched["spec"]
        assert api("GET", f"{PODS}/a/status").json == patched

    def test_a_dry_run_writes_nothing(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        before = objects.store.revision
        made = api("POST", f"{SERVICES}?dryRun=All", cluster.service())
        assert made.code == 201
        assert made.json["spec"]["clusterIP"]
        assert objects.store.revision == before
        api("POST", SERVICES, cluster.service())
        assert api("DELETE", f"{SERVICES}/app1?dryRun=All").code == 200
        assert api("GET", f"{SERVICES}/app1").code == 200

    def test_a_put_creates_endpoints_and_events_only(self, api: cluster.Client) -> None:
        body = {"metadata": {"name": "x"}}
        assert api("PUT", "/api/v1/namespaces/default/endpoints/x", body).code == 201
        assert api("PUT", f"{SERVICES}/x", cluster.service("x")).code == 404

    def test_preconditions_of_a_deletion(self, api: cluster.Client) -> None:
        api("POST", SERVICES, cluster.service())
        refused = api("DELETE", f"{SERVICES}/app1", {"preconditions": {"uid": "other"}})
        assert refused.code == 409
        assert "Precondition failed: UID in precondition: other" in refused.message


class TestRefusals:
    def test_it_exists_already(self, api: cluster.Client) -> None:
        api("POST", PODS, cluster.pod())
        refused = api("POST", PODS, cluster.pod())
        assert (refused.code, refused.json["reason"]) == (409, "AlreadyExists")
        assert refused.message == 'pods "a" already exists'

    def test_no_such_namespace(self, api: cluster.Client) -> None:
        refused = api("POST", "/api/v1/namespaces/nowhere/pods", cluster.pod())
        assert (refused.code, refused.message) == (404, 'namespaces "nowhere" not found')

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (
                {"spec": {"ports": [{"port": "x"}]}},
                (
                    'Service in version "v1" cannot be handled as a Service: json: cannot '
                    "unmarshal string into Go struct field "
                    "ServicePort.spec.ports.port of type int32"
                ),
            ),
            (
                b"{",
                (
                    "the object provided is unrecognized (must be of type Service): couldn't get "
                    "version/kind; json parse error: "
                ),
            ),
            ({"kind": "Pod"}, 'Pod in version "v1" cannot be handled as a Service'),
            (
                {"apiVersion": "v2"},
                "the API version in the data (v2) does not match the expected API version (v1)",
            ),
            ({"metadata": {"namespace": "x"}}, "the namespace of the provided object does not"),
            ({"metadata": {"resourceVersion": "3"}}, "resourceVersion should not be set"),
        ],
    )
    def test_bodies_that_are_no_service(self, api: cluster.Client, body: Any, message: str) -> None:
        refused = api("POST", SERVICES, body)
        assert (refused.code, refused.json["reason"]) == (400, "BadRequest")
        assert refused.message.startswith(message)

    def test_a_status_with_causes(self, api: cluster.Client) -> None:
        body = cluster.service(ports=[{"port": 80, "nodePort": 99}])
        refused = api("POST", SERVICES, body)
        assert refused.code == 422
        assert refused.json["details"] == {
            "name": "app1",
            "kind": "Service",
            "causes": [
                {
                    "reason": "FieldValueInvalid",
                    "message": "Invalid value: 99: provided port is not in the valid range. "
                    "The range of valid ports is 30000-32767",
                    "field": "spec.ports[0].nodePort",
                }
            ],
        }

    def test_unknown_fields_by_the_clients_choice(self, api: cluster.Client) -> None:
        body = cluster.service(foo=1)
        strict = api("POST", f"{SERVICES}?fieldValidation=Strict", body)
        assert strict.code == 400
        assert strict.message.endswith('strict decoding error: unknown field "spec.foo"')
        ignored = api("POST", f"{SERVICES}?fieldValidation=Ignore&dryRun=All", body)
        assert (ignored.code, "warning" in ignored.headers) == (201, False)
        warned = api("POST", SERVICES, body)
        assert warned.headers["warning"] == r'299 - "unknown field \"spec.foo\""'
        assert "foo" not in warned.json["spec"]
        assert api("POST", f"{SERVICES}?fieldValidation=Maybe", body).code == 422

    def test_a_patch_that_breaks_the_object(self, api: cluster.Client) -> None:
        api("POST", SERVICES, cluster.service())
        wrong = {"spec": {"ports": [{"port": "x"}]}}
        refused = api("PATCH", f"{SERVICES}/app1", wrong, content_type=MERGE)
        assert refused.code == 422
        assert "json: cannot unmarshal string" in refused.message
        assert api("PATCH", f"{SERVICES}/app1", b"[", content_type=MERGE).code == 400
        assert api("PATCH", f"{SERVICES}/app1", [1], content_type=MERGE).code == 400
        keyless = {"spec": {"ports": [{"name": "x"}]}}
        assert api("PATCH", f"{SERVICES}/app1", keyless, content_type=STRATEGIC).code == 500

    @pytest.mark.parametrize(
        ("method", "path", "code"),
        [
            ("GET", "/nowhere", 404),
            ("GET", "/api/v2", 404),
            ("GET", "/apis/nowhere", 404),
            ("GET", "/api/v1/unicorns", 404),
            ("GET", f"{PODS}/a/unicorn", 404),
            ("PUT", PODS, 405),
            ("POST", f"{PODS}/a", 405),
            ("POST", f"{PODS}/a/status", 405),
            ("OPTIONS", PODS, 405),
            ("POST", "/version", 405),
            ("GET", f"{PODS}?fieldSelector=spec.unicorn=1", 400),
            ("GET", f"{PODS}?labelSelector=a%20b", 400),
            ("GET", f"{PODS}?limit=many", 400),
            ("GET", f"{PODS}?continue=!!!", 400),
            ("GET", f"{PODS}?watch=1&resourceVersion=x", 400),
            ("DELETE", "/api/v1/namespaces/default", 403),
            ("DELETE", f"{PODS}/a?gracePeriodSeconds=x", 400),
        ],
    )
    def test_requests_that_cannot_be(
        self, api: cluster.Client, method: str, path: str, code: int
    ) -> None:
        refused = api(method, path.replace("%20", " "))
        assert refused.code == code
        assert refused.json["kind"] == "Status"

    def test_who_is_not_known_gets_401(self, objects: registry.Registry) -> None:
        for token in ("", "wrong"):
            client = cluster.Client(objects, token=token)
            assert client("GET", PODS).json["reason"] == "Unauthorized"
        assert cluster.Client(objects, token="")("GET", "/readyz").body == b"ok"

    def test_who_may_not_gets_403(self, objects: registry.Registry) -> None:
        proxy = cluster.Client(objects, token="proxy")
        assert proxy("GET", SERVICES).code == 200
        refused = proxy("POST", SERVICES, cluster.service())
        assert refused.code == 403
        assert refused.message == (
            'services is forbidden: User "system:kube-proxy:node1" cannot create resource '
            '"services" in API group "" in the namespace "default"'
        )
        assert proxy("GET", "/metrics").message.startswith("forbidden: User")

    def test_a_node_registers_itself_and_no_other(self, objects: registry.Registry) -> None:
        node = cluster.Client(objects, token="node1")
        assert node("POST", "/api/v1/nodes", cluster.node("node1")).code == 201
        refused = node("POST", "/api/v1/nodes", cluster.node("node2"))
        assert refused.message == (
            'nodes "node2" is forbidden: node "node1" is not allowed to modify node "node2"'
        )

    def test_a_body_that_is_too_large(self, api: cluster.Client) -> None:
        refused = api("POST", PODS, b"x" * (app.MAX_BODY_BYTES + 1))
        assert (refused.code, refused.json["reason"]) == (413, "RequestEntityTooLarge")

    def test_protobuf_is_read_but_not_written(self, objects: registry.Registry) -> None:
        client = cluster.Client(objects, accept="application/vnd.kubernetes.protobuf")
        assert client("GET", PODS).code == 406

    def test_a_defect_is_a_500_and_logged(
        self, api: cluster.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(discovery, "version", broken)
        refused = api("GET", "/version")
        assert (refused.code, refused.json["reason"]) == (500, "InternalError")
        assert "ZeroDivisionError" in caplog.text


class TestForms:
    def test_lists(self, api: cluster.Client, objects: registry.Registry) -> None:
        for name in "abc":
            api("POST", PODS, cluster.pod(name, labels={"name": name}))
        everything = api("GET", "/api/v1/pods").json
        assert (everything["kind"], len(everything["items"])) == ("PodList", 3)
        assert everything["metadata"] == {"resourceVersion": str(objects.store.revision)}
        chosen = api("GET", f"{PODS}?labelSelector=name in (a,c)&fieldSelector=metadata.name!=a")
        assert [item["metadata"]["name"] for item in chosen.json["items"]] == ["c"]
        assert api("GET", "/api/v1/namespaces/nowhere/pods").json["items"] == []

    def test_pages(self, api: cluster.Client) -> None:
        for name in "abcde":
            api("POST", PODS, cluster.pod(name))
        names, token, revisions, left = [], "", set(), []
        while True:
            page = api("GET", f"{PODS}?limit=2&continue={token}").json
            names += [item["metadata"]["name"] for item in page["items"]]
            revisions.add(page["metadata"]["resourceVersion"])
            left.append(page["metadata"].get("remainingItemCount"))
            token = page["metadata"].get("continue", "")
            if not token:
                break
        assert (names, left) == (list("abcde"), [3, 1, None])
        assert len(revisions) == 1

    def test_a_table(self, objects: registry.Registry) -> None:
        client = cluster.Client(objects, accept=TABLE)
        table = client("GET", SERVICES).json
        assert table["kind"] == "Table"
        assert [column["name"] for column in table["columnDefinitions"]][:3] == [
            "Name",
            "Type",
            "Cluster-IP",
        ]
        (row,) = table["rows"]
        assert row["cells"][:3] == ["kubernetes", "ClusterIP", "10.96.0.1"]
        assert row["object"]["kind"] == "PartialObjectMetadata"
        one = client("GET", f"{SERVICES}/kubernetes?includeObject=Object").json
        assert one["rows"][0]["object"]["kind"] == "Service"
        bare = client("GET", f"{SERVICES}?includeObject=None").json
        assert "object" not in bare["rows"][0]

    def test_every_kind_fills_its_columns(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        about = {"kind": "Pod", "namespace": "default", "name": "a"}
        event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "r", "message": "m"}
        api("POST", PODS, cluster.pod())
        api("POST", "/api/v1/nodes", cluster.node())
        api("POST", "/api/v1/namespaces/default/events", event)
        named = {"metadata": {"name": "x"}}
        for path in ("configmaps", "serviceaccounts"):
            api("POST", f"/api/v1/namespaces/default/{path}", named)
        api("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", named)
        api("POST", REPLICA_SETS, cluster.replica_set())
        api("POST", REPLICA_SETS.replace("replicasets", "deployments"), cluster.deployment())
        for kind in (kind for kind in kinds.KINDS if "list" in kind.verbs):
            client = cluster.Client(objects, accept=TABLE)
            table = client("GET", kind.resource.path()).json
            assert table["rows"]
            for row in table["rows"]:
                assert len(row["cells"]) == len(kind.columns)

    def test_metadata_alone(self, objects: registry.Registry) -> None:
        form = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        listed = cluster.Client(objects, accept=form)("GET", SERVICES).json
        assert listed["kind"] == "PartialObjectMetadataList"
        assert "spec" not in listed["items"][0]
        form = form.replace("List", "")
        one = cluster.Client(objects, accept=form)("GET", f"{SERVICES}/kubernetes").json
        assert one["kind"] == "PartialObjectMetadata"


class TestWatch:
    def run(self, scenario: Any) -> None:
        asyncio.run(asyncio.wait_for(scenario, 10))

    def test_changes_arrive_in_order(self, api: cluster.Client, objects: registry.Registry) -> None:
        async def scenario() -> None:
            start = objects.store.revision
            async with api.watch(f"{PODS}?watch=true&resourceVersion={start}") as events:
                objects.create(pods.KIND, "default", cluster.pod())
                objects.update(pods.KIND, "default", "a", _label)
                objects.delete(pods.KIND, "default", "a", registry.DeleteOptions())
                types = [(await events.get())["type"] for _ in range(3)]
            assert types == ["ADDED", "MODIFIED", "DELETED"]

        self.run(scenario())

    def test_it_begins_with_what_exists_and_ends_in_time(self, api: cluster.Client) -> None:
        reply = api("GET", f"{SERVICES}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true")
        added, bookmark = [json.loads(line) for line in reply.body.splitlines()]
        assert (added["type"], added["object"]["metadata"]["name"]) == ("ADDED", "kubernetes")
        assert bookmark["type"] == "BOOKMARK"
        assert int(bookmark["object"]["metadata"]["resourceVersion"]) > 1

    def test_initial_events_end_with_a_bookmark(self, api: cluster.Client) -> None:
        query = "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        lines = api("GET", f"{SERVICES}?{query}&allowWatchBookmarks=true").body.splitlines()
        marked = json.loads(lines[1])["object"]["metadata"]
        assert marked["annotations"] == {"k8s.io/initial-events-end": "true"}

    def test_a_forgotten_revision_is_gone(self) -> None:
        with cluster.running(watch_history=2) as objects:
            start = objects.store.revision
            for name in "abc":
                objects.create(pods.KIND, "default", cluster.pod(name))
            reply = cluster.Client(objects)("GET", f"{PODS}?watch=1&resourceVersion={start}")
            event = json.loads(reply.body)
            assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
            assert event["object"]["reason"] == "Expired"

    def test_a_revision_from_another_store_is_gone(self, api: cluster.Client) -> None:
        event = json.loads(api("GET", f"{PODS}?watch=1&resourceVersion=9999").body)
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)

    def test_selectors_and_names(self, api: cluster.Client, objects: registry.Registry) -> None:
        async def scenario() -> None:
            start = objects.store.revision
            path = f"{PODS}?watch=1&resourceVersion={start}&labelSelector=seen"
            async with api.watch(path) as events, api.watch(f"{PODS}/b?watch=1") as named:
                for name in "ab":
                    objects.create(pods.KIND, "default", cluster.pod(name))
                objects.update(pods.KIND, "default", "a", _label)
                objects.delete(pods.KIND, "default", "a", registry.DeleteOptions())
                types = [(await events.get())["type"] for _ in range(2)]
                assert types == ["ADDED", "DELETED"]
                assert (await named.get())["object"]["metadata"]["name"] == "b"

        self.run(scenario())

    def test_tables_name_their_columns_once(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            client = cluster.Client(objects, accept=TABLE)
            async with client.watch(f"{SERVICES}?watch=1") as events:
                first = await events.get()
                objects.create(services.KIND, "default", cluster.service())
                second = await events.get()
            assert first["object"]["columnDefinitions"]
            assert second["object"]["columnDefinitions"] is None
            assert second["object"]["rows"][0]["cells"][0] == "app1"

        self.run(scenario())

    def test_all_end_when_the_server_ends(
        self, api: cluster.Client, objects: registry.Registry
    ) -> None:
        async def scenario() -> None:
            call = api._call("GET", f"{PODS}?watch=1", None, "")
            watching = asyncio.ensure_future(call)
            await asyncio.sleep(0)
            objects.store.close_watches()
            assert (await watching).code == 200

        self.run(scenario())


def _label(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "metadata": {**old["metadata"], "labels": {"seen": "yes"}}}
