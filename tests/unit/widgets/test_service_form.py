"""The form writes the very manifest that the lessons apply."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from labkit import errors
from labkit.model import example
from labkit.widgets import service_form

FIELDS: dict[str, Any] = {
    "name": "app1",
    "service_type": "NodePort",
    "port": 8080,
    "target_port": "8080",
    "node_port": 30062,
    "selector": "name=app1",
    "affinity": "None",
}


def make_form(
    applied: list[Any], there: tuple[Any, ...] = (example.SERVICE,)
) -> service_form.ServiceForm:
    def apply(manifest: Any) -> list[str]:
        applied.append(manifest)
        return ["service/app1 created"]

    def get(kind: str, name: str) -> Any:
        if not there:
            raise errors.NotFound(f"no {kind} {name}", status=404)
        return SimpleNamespace(objects=there)

    return service_form.ServiceForm(cast(Any, SimpleNamespace(apply=apply, get=get)))


def defaults(form: service_form.ServiceForm) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in form.controls if "name" in each}


def test_it_opens_with_the_service_as_it_is_now() -> None:
    now = copy.deepcopy(example.SERVICE)
    now["spec"]["ports"][0]["nodePort"] = 30063
    form = make_form([], (now,))
    assert defaults(form)["node_port"] == 30063
    assert isinstance(form.value, service_form.Draft)
    assert form.value.manifest["spec"]["ports"][0]["nodePort"] == 30063
    form.close()


@pytest.mark.parametrize("there", [(example.SERVICE,), ()])
def test_as_it_opens_it_is_the_example_service(there: tuple[Any, ...]) -> None:
    form = make_form([], there)
    made = service_form.write_manifest(**defaults(form))
    spec, wanted = made["spec"], example.SERVICE["spec"]
    assert made["metadata"]["name"] == example.SERVICE["metadata"]["name"]
    for name in ("type", "selector"):
        assert spec[name] == wanted[name]
    ports = ("port", "targetPort", "nodePort")
    assert [spec["ports"][0][key] for key in ports] == [8080, 8080, 30062]
    form.close()


def test_apply_hands_over_what_the_fields_say() -> None:
    applied: list[Any] = []
    form = make_form(applied)
    form.act("apply", **FIELDS | {"port": 80, "affinity": "ClientIP"}).result(10)
    assert applied[0]["spec"]["ports"] == [{"port": 80, "targetPort": 8080, "nodePort": 30062}]
    assert applied[0]["spec"]["sessionAffinity"] == "ClientIP"
    assert "created" in form.said
    assert "created" in repr(form)
    form.close()


def test_the_manifest_that_is_shown_can_be_retyped() -> None:
    form = make_form([])
    form.act("draft", **FIELDS).result(10)
    text = repr(form)
    assert "labkit kubectl apply -f - <<EOF" in text
    assert isinstance(form.value, service_form.Draft)
    assert yaml.safe_load(form.value.yaml) == form.value.manifest
    form.close()


@pytest.mark.parametrize(
    ("changed", "port"),
    [
        ({"service_type": "ClusterIP"}, {"port": 8080, "targetPort": 8080}),
        ({"node_port": 0}, {"port": 8080, "targetPort": 8080}),
        ({"target_port": "http"}, {"port": 8080, "targetPort": "http", "nodePort": 30062}),
        ({"target_port": ""}, {"port": 8080, "nodePort": 30062}),
    ],
)
def test_fields_that_are_left_out(changed: dict[str, Any], port: dict[str, Any]) -> None:
    assert service_form.write_manifest(**FIELDS | changed)["spec"]["ports"] == [port]


@pytest.mark.parametrize("selector", ["app1", "=app1", "name=app1,web"])
def test_a_selector_that_is_none_is_named(selector: str) -> None:
    with pytest.raises(errors.UsageError, match=r"is no label"):
        service_form.write_manifest(**FIELDS | {"selector": selector})


def test_an_empty_selector_selects_nothing() -> None:
    assert service_form.write_manifest(**FIELDS | {"selector": ""})["spec"]["selector"] == {}
