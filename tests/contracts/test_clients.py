"""Client libraries that others wrote, unmodified, against the real server: TLS and a kubeconfig."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import uuid
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import kr8s
import kr8s.asyncio
import lightkube
import pytest
import yaml
from kubernetes import client, config, dynamic, watch
from kubernetes.client import exceptions as official_errors
from lightkube import types as lightkube_types
from lightkube.core import exceptions as lightkube_errors
from lightkube.models import core_v1, meta_v1
from lightkube.resources import apps_v1 as lightkube_apps
from lightkube.resources import core_v1 as lightkube_core

from tests.contracts import apiserver


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """These libraries leave their connections to the garbage collector; so it comes at once."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.Server]:
    with apiserver.running(tmp_path_factory.mktemp("clients")) as made:
        yield made


@pytest.fixture(scope="module")
def kubeconfig(server: apiserver.Server) -> Path:
    """As the lab writes one: an address, the lab's CA, a token."""
    place = f"https://127.0.0.1:{server.port}"
    ca = str(server.folder / "ca.crt")
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": place, "certificate-authority": ca}}],
        "users": [{"name": "admin", "user": {"token": "admin"}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
        "current-context": "lab",
    }
    path = server.folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def room(server: apiserver.Server) -> str:
    """A namespace for one test."""
    name = f"room-{uuid.uuid4().hex[:8]}"
    code, _ = server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert code == 201
    return name


#: During a test the garbage collector may come by itself.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
LABELS = {"name": "app1"}


def service(name: str = "app1", **spec: Any) -> dict[str, Any]:
    full = {"selector": LABELS, "ports": [{"port": 8080}], **spec}
    meta = {"name": name, "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": full}


def deployment() -> dict[str, Any]:
    pod = {"containers": [{"name": "echo", "image": "labkit/echo"}]}
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": spec,
    }


class TestOfficial:
    """The package `kubernetes`."""

    @pytest.fixture
    def api_client(self, kubeconfig: Path) -> Iterator[Any]:
        library: Any = config
        with library.new_client_from_config(str(kubeconfig)) as made:
            yield made

    def test_a_service_from_beginning_to_end(self, api_client: Any, room: str) -> None:
        core: Any = client.CoreV1Api(api_client)
        made = core.create_namespaced_service(room, service(type="NodePort"))
        assert made.spec.cluster_ip.startswith("10.96.")
        assert 30000 <= made.spec.ports[0].node_port <= 32767
        patched = core.patch_namespaced_service(
            "app1", room, {"spec": {"ports": [{"port": 8080, "targetPort": 9090}]}}
        )
        assert patched.spec.ports[0].target_port == 9090
        (listed,) = core.list_namespaced_service(room, label_selector="name=app1").items
        assert listed.metadata.uid == made.metadata.uid
        assert core.read_namespaced_service("app1", room).spec.type == "NodePort"
        core.delete_namespaced_service("app1", room)
        assert core.list_namespaced_service(room).items == []

    def test_errors(self, api_client: Any, room: str) -> None:
        core: Any = client.CoreV1Api(api_client)
        with pytest.raises(official_errors.ApiException) as caught:
            core.read_namespaced_service("nothing", room)
        assert (caught.value.status, _reason(caught.value)) == (404, "NotFound")
        made = core.create_namespaced_service(room, service())
        with pytest.raises(official_errors.ApiException) as caught:
            core.create_namespaced_service(room, service())
        assert (caught.value.status, _reason(caught.value)) == (409, "AlreadyExists")
        core.patch_namespaced_service("app1", room, {"metadata": {"annotations": {"a": "b"}}})
        with pytest.raises(official_errors.ApiException) as caught:
            core.replace_namespaced_service("app1", room, made)
        assert (caught.value.status, _reason(caught.value)) == (409, "Conflict")
        with pytest.raises(official_errors.ApiException) as caught:
            core.create_namespaced_service(room, service("wrong", type="Unicorn"))
        assert (caught.value.status, _reason(caught.value)) == (422, "Invalid")

    def test_a_watch_tells_what_happened_since(self, api_client: Any, room: str) -> None:
        core: Any = client.CoreV1Api(api_client)
        since = core.list_namespaced_service(room).metadata.resource_version
        core.create_namespaced_service(room, service("a"))
        core.delete_namespaced_service("a", room)
        watching: Any = watch
        events = watching.Watch().stream(
            core.list_namespaced_service, room, resource_version=since, timeout_seconds=10
        )
        told = [
            (event["type"], event["object"].metadata.name) for event in itertools.islice(events, 2)
        ]
        assert told == [("ADDED", "a"), ("DELETED", "a")]

    def test_status_and_scale(self, api_client: Any, room: str) -> None:
        apps: Any = client.AppsV1Api(api_client)
        apps.create_namespaced_deployment(room, deployment())
        scaled = apps.patch_namespaced_deployment_scale("web", room, {"spec": {"replicas": 3}})
        assert scaled.spec.replicas == 3
        assert apps.read_namespaced_deployment("web", room).spec.replicas == 3
        assert apps.read_namespaced_deployment_status("web", room).kind == "Deployment"

    def test_the_dynamic_client_finds_kinds_by_discovery(self, api_client: Any, room: str) -> None:
        library: Any = dynamic
        found = library.DynamicClient(api_client)
        services = found.resources.get(api_version="v1", kind="Service")
        made = services.create(body=service(), namespace=room)
        assert made.spec.clusterIP.startswith("10.96.")
        merged = {"metadata": {"name": "app1"}, "spec": {"sessionAffinity": "ClientIP"}}
        patched = services.patch(
            body=merged, namespace=room, content_type="application/merge-patch+json"
        )
        assert patched.spec.sessionAffinityConfig.clientIP.timeoutSeconds == 10800
        with pytest.raises(dynamic.exceptions.NotFoundError):
            services.get(name="nothing", namespace=room)
        slices = found.resources.get(api_version="discovery.k8s.io/v1", kind="EndpointSlice")
        assert slices.get(namespace=room).kind == "EndpointSliceList"
        services.delete(name="app1", namespace=room)


def _reason(error: Any) -> str:
    return str(json.loads(error.body)["reason"])


class TestLightkube:
    @pytest.fixture
    def api(self, kubeconfig: Path, room: str) -> Iterator[lightkube.Client]:
        found = lightkube.KubeConfig.from_file(kubeconfig)
        made = lightkube.Client(found, namespace=room, field_manager="tests", trust_env=False)
        yield made
        made.close()

    def service(self, **spec: Any) -> lightkube_core.Service:
        ports = [core_v1.ServicePort(port=8080)]
        full = core_v1.ServiceSpec(selector=LABELS, ports=ports, **spec)
        meta = meta_v1.ObjectMeta(name="app1", labels=LABELS)
        return lightkube_core.Service(apiVersion="v1", kind="Service", metadata=meta, spec=full)

    def test_a_service_from_beginning_to_end(self, api: lightkube.Client) -> None:
        made = api.create(self.service(type="NodePort"))
        assert made.spec
        assert (made.spec.clusterIP or "").startswith("10.96.")
        change = {"spec": {"sessionAffinity": "ClientIP"}}
        patched = api.patch(
            lightkube_core.Service, "app1", change, patch_type=lightkube_types.PatchType.MERGE
        )
        assert patched.spec
        assert patched.spec.sessionAffinity == "ClientIP"
        listed = api.list(lightkube_core.Service, labels={"name": "app1"})
        assert [each.metadata.name for each in listed if each.metadata] == ["app1"]
        api.delete(lightkube_core.Service, "app1")
        with pytest.raises(lightkube_errors.ApiError) as caught:
            api.get(lightkube_core.Service, "app1")
        assert (caught.value.status.code, caught.value.status.reason) == (404, "NotFound")

    def test_errors(self, api: lightkube.Client) -> None:
        made = api.create(self.service())
        with pytest.raises(lightkube_errors.ApiError) as caught:
            api.create(self.service())
        assert (caught.value.status.code, caught.value.status.reason) == (409, "AlreadyExists")
        api.patch(lightkube_core.Service, "app1", {"metadata": {"labels": {"a": "b"}}})
        with pytest.raises(lightkube_errors.ApiError) as caught:
            api.replace(made)
        assert (caught.value.status.code, caught.value.status.reason) == (409, "Conflict")

    def test_apply_is_owned(self, api: lightkube.Client) -> None:
        """Server-side: what another manager has set is a conflict, unless it is forced."""
        assert api.apply(self.service(sessionAffinity="None")).metadata
        other = self.service(sessionAffinity="ClientIP")
        with pytest.raises(lightkube_errors.ApiError) as caught:
            api.apply(other, field_manager="other")
        assert caught.value.status.code == 409
        taken = api.apply(other, field_manager="other", force=True)
        assert taken.spec
        assert taken.spec.sessionAffinity == "ClientIP"

    def test_scale(self, api: lightkube.Client) -> None:
        made = lightkube_apps.Deployment.from_dict(deployment())
        assert isinstance(made, lightkube_apps.Deployment)
        api.create(made)
        found = api.get(lightkube_apps.Deployment.Scale, "web")
        assert found.spec
        found.spec.replicas = 2
        api.replace(found, "web")
        scaled = api.get(lightkube_apps.Deployment, "web").spec
        assert scaled
        assert scaled.replicas == 2

    def test_an_asynchronous_watch(self, kubeconfig: Path, room: str) -> None:
        found = lightkube.KubeConfig.from_file(kubeconfig)

        async def follow() -> list[tuple[str, str]]:
            api = lightkube.AsyncClient(found, namespace=room, trust_env=False)
            since = (await api.create(self.service())).metadata
            assert since
            await api.patch(lightkube_core.Service, "app1", {"metadata": {"labels": {"a": "b"}}})
            await api.delete(lightkube_core.Service, "app1")
            told: list[tuple[str, str]] = []
            version = since.resourceVersion
            async for kind, obj in api.watch(lightkube_core.Service, resource_version=version):
                told.append((kind, str(obj.metadata and obj.metadata.name)))
                if kind == "DELETED":
                    break
            await api.aclose()
            return told

        assert asyncio.run(follow()) == [("MODIFIED", "app1"), ("DELETED", "app1")]


class TestKr8s:
    def run(
        self, kubeconfig: Path, room: str, live: Callable[[Any], Coroutine[Any, Any, None]]
    ) -> None:
        async def connected() -> None:
            api: Any = await kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace=room)
            try:
                await live(api)
            finally:
                # The library keeps its connections for the life of the process.
                await api._session.aclose()

        asyncio.run(connected())

    def test_a_service_from_beginning_to_end(self, kubeconfig: Path, room: str) -> None:
        async def live(api: Any) -> None:
            made = await kr8s.asyncio.objects.Service(service(), namespace=room, api=api)
            await made.create()
            assert made.spec["clusterIP"].startswith("10.96.")
            await made.patch({"spec": {"sessionAffinity": "ClientIP"}})
            assert made.spec["sessionAffinity"] == "ClientIP"
            found = [each async for each in api.get("services", namespace=room)]
            assert [each.name for each in found] == ["app1"]
            await made.delete()
            with pytest.raises(kr8s.NotFoundError):
                await made.refresh()

        self.run(kubeconfig, room, live)

    def test_scale(self, kubeconfig: Path, room: str) -> None:
        async def live(api: Any) -> None:
            made = await kr8s.asyncio.objects.Deployment(deployment(), namespace=room, api=api)
            await made.create()
            await made.patch({"spec": {"replicas": 3}}, subresource="scale")
            await made.refresh()
            assert made.spec["replicas"] == 3

        self.run(kubeconfig, room, live)
