"""Where each kind lives in the API, and what people call it."""

from __future__ import annotations

import pytest

from labkit.model import resources


def test_paths() -> None:
    assert resources.PODS.path() == "/api/v1/pods"
    assert resources.PODS.path("default") == "/api/v1/namespaces/default/pods"
    assert resources.NODES.path("default", "node1") == "/api/v1/nodes/node1"
    wanted = "/api/v1/namespaces/default/services/app1/status"
    assert resources.SERVICES.path("default", "app1", "status") == wanted
    grouped = resources.Resource("EndpointSlice", "endpointslices", group="discovery.k8s.io")
    assert grouped.api_version == "discovery.k8s.io/v1"
    assert grouped.path("a") == "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices"


@pytest.mark.parametrize("word", ["svc", "service", "services", "Service", "SERVICES"])
def test_a_kind_by_any_of_its_names(word: str) -> None:
    assert resources.find(word) is resources.SERVICES


def test_no_name_means_two_kinds() -> None:
    words = [
        word
        for each in resources.RESOURCES
        for word in {each.plural, each.singular, *each.short_names}
    ]
    assert len(words) == len(set(words))
    assert resources.find("ingresses") is None


def test_name_of() -> None:
    assert resources.name_of({"metadata": {"name": "a", "namespace": "b"}}) == "b/a"
    assert resources.name_of({"metadata": {"name": "node1"}}) == "node1"
    assert resources.name_of({}) == ""
