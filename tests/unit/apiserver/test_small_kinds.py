"""ConfigMaps, service accounts, leases, and events in two groups."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labkit.apiserver import decode, registry
from labkit.apiserver.controllers import serviceaccounts
from labkit.apiserver.kinds import events_view, namespaces
from labkit.apiserver.kinds import serviceaccounts as accounts
from labkit.model import resources
from tests.unit.apiserver import cluster

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
EVENTS = "/api/v1/namespaces/default/events"
NEW_EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"


class TestConfigMaps:
    def make(self, **more: Any) -> resources.Object:
        return {"metadata": {"name": "c"}, "data": {"a": "b"}, **more}

    def test_one_that_is_sealed(self, api: cluster.Client) -> None:
        assert api("POST", CONFIG_MAPS, self.make(immutable=True)).code == 201
        refused = api("PUT", f"{CONFIG_MAPS}/c", self.make(data={}))
        assert "data: Forbidden: field is immutable when `immutable` is set" in refused.message

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"data": {"a b": ""}}, 'data[a b]: Invalid value: "a b"'),
            ({"binaryData": {"a": ""}}, "duplicate of key present in binaryData[a]"),
            ({"data": {"a": "x" * 1_048_577}}, "Too long"),
        ],
    )
    def test_what_it_may_not_be(
        self, api: cluster.Client, change: dict[str, Any], message: str
    ) -> None:
        refused = api("POST", CONFIG_MAPS, self.make(**change))
        assert (refused.code, message in refused.message) == (422, True)

    def test_bytes_are_base64(self) -> None:
        good = {"binaryData": {"a": "AAE="}}
        assert decode.decode(good, "ConfigMap").object == good
        for bad, message in (("&", "illegal base64"), (1, "cannot unmarshal number")):
            with pytest.raises(decode.DecodeError, match=message):
                decode.decode({"binaryData": {"a": bad}}, "ConfigMap")


class TestServiceAccounts:
    def test_every_namespace_has_one(self, objects: registry.Registry) -> None:
        async def scenario() -> None:
            task = asyncio.ensure_future(serviceaccounts.Controller(objects).run())
            objects.create(namespaces.KIND, "", {"metadata": {"name": "room"}})
            await self.settle()
            objects.get(accounts.KIND, "default", "default")
            objects.delete(accounts.KIND, "room", "default", registry.DeleteOptions())
            await self.settle()
            objects.get(accounts.KIND, "room", "default")
            objects.delete(namespaces.KIND, "", "room", registry.DeleteOptions())
            objects.delete(accounts.KIND, "room", "default", registry.DeleteOptions())
            await self.settle()
            assert objects.store.get(resources.SERVICE_ACCOUNTS, "room", "default") is None
            task.cancel()

        asyncio.run(scenario())

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def test_a_pod_has_one(self, api: cluster.Client) -> None:
        made = api("POST", "/api/v1/namespaces/default/pods", cluster.pod()).json
        assert made["spec"]["serviceAccountName"] == "default"


class TestLeases:
    def make(self, name: str = "node1", **spec: Any) -> resources.Object:
        return {"metadata": {"name": name}, "spec": {"holderIdentity": name, **spec}}

    def test_a_node_has_its_own(self, objects: registry.Registry) -> None:
        node = cluster.Client(objects, token="node1")
        assert node("POST", LEASES, self.make()).code == 201
        assert node("PUT", f"{LEASES}/node1", self.make(leaseDurationSeconds=40)).code == 200
        refused = node("PUT", f"{LEASES}/node2", self.make("node2"))
        assert refused.message.endswith("with the same name as the requesting node")
        elsewhere = node("POST", LEASES.replace("kube-node-lease", "default"), self.make())
        assert elsewhere.message.endswith('in the "kube-node-lease" system namespace')
        assert node("DELETE", f"{LEASES}?labelSelector=a").code == 403

    def test_what_it_may_not_be(self, api: cluster.Client) -> None:
        refused = api("POST", LEASES, self.make(leaseDurationSeconds=0, leaseTransitions=-1))
        assert "spec.leaseDurationSeconds: Invalid value: 0" in refused.message
        assert "spec.leaseTransitions: Invalid value: -1" in refused.message


class TestEventsInTwoGroups:
    def old(self, name: str = "e") -> resources.Object:
        about = {"kind": "Pod", "namespace": "default", "name": "a"}
        return {
            "metadata": {"name": name},
            "involvedObject": about,
            "reason": "Started",
            "message": "it runs",
            "count": 2,
        }

    def test_what_one_group_writes_the_other_shows(self, api: cluster.Client) -> None:
        api("POST", EVENTS, self.old())
        shown = api("GET", f"{NEW_EVENTS}/e").json
        assert (shown["apiVersion"], shown["note"]) == ("events.k8s.io/v1", "it runs")
        assert (shown["regarding"]["name"], shown["deprecatedCount"]) == ("a", 2)
        new = {**shown, "metadata": {"name": "f"}, "note": "it stopped", "action": "Stop"}
        assert api("POST", NEW_EVENTS, new).json["note"] == "it stopped"
        back = api("GET", f"{EVENTS}/f").json
        assert (back["apiVersion"], back["message"], back["action"]) == ("v1", "it stopped", "Stop")

    def test_verbs(self, api: cluster.Client) -> None:
        for name in "ab":
            api("POST", EVENTS, self.old(name))
        merge = "application/merge-patch+json"
        patched = api("PATCH", f"{NEW_EVENTS}/a", {"note": "new"}, content_type=merge)
        assert patched.json["note"] == "new"
        put = api("PUT", f"{NEW_EVENTS}/c", {**patched.json, "metadata": {"name": "c"}})
        assert put.code == 201
        chosen = api("GET", f"{NEW_EVENTS}?fieldSelector=regarding.name=a").json
        assert len(chosen["items"]) == 3
        assert (chosen["kind"], chosen["apiVersion"]) == ("EventList", "events.k8s.io/v1")
        assert "kind" not in chosen["items"][0]
        api("DELETE", f"{NEW_EVENTS}/a")
        api("DELETE", f"{NEW_EVENTS}?fieldSelector=metadata.name=b")
        left = api("GET", EVENTS).json["items"]
        assert [item["metadata"]["name"] for item in left] == ["c"]

    def test_a_watch(self, api: cluster.Client, objects: registry.Registry) -> None:
        path = f"{NEW_EVENTS}?watch=1&resourceVersion={objects.store.revision}"

        async def scenario() -> None:
            async with api.watch(path) as events:
                await api._call("POST", EVENTS, self.old(), "application/json")
                await api._call("DELETE", f"{EVENTS}/e", None, "")
                seen = [await events.get() for _ in range(2)]
            assert [event["type"] for event in seen] == ["ADDED", "DELETED"]
            assert {event["object"]["note"] for event in seen} == {"it runs"}

        asyncio.run(asyncio.wait_for(scenario(), 10))

    def test_there_and_back(self) -> None:
        assert events_view.take(events_view.show(self.old())) == self.old()
