"""Manifests as people write them, and the patch that apply sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.lab import objects
from labkit.model import example

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: app1}
---
# nothing here
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a}}
- {apiVersion: v1, kind: Pod, metadata: {name: b}}
"""


def names(found: list[dict[str, Any]]) -> list[str]:
    return [obj["metadata"]["name"] for obj in found]


def test_documents_and_lists_are_taken_apart() -> None:
    assert names(objects.parse_manifests(SERVICE)) == ["app1", "a", "b"]


def test_a_folder_is_read_in_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("{apiVersion: v1, kind: Pod, metadata: {name: b}}")
    (tmp_path / "a.json").write_text(
        '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}'
    )
    (tmp_path / "notes.txt").write_text("not a manifest")
    assert names(objects.read_manifest(tmp_path)) == ["a", "b"]


def test_an_object_is_a_manifest_too() -> None:
    assert objects.read_manifest(example.SERVICE) == [example.SERVICE]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1", "not YAML: .*line 1"),
        ("# nothing\n---\n", "the manifest is empty"),
        ("just words", "not a Kubernetes object: 'just words'"),
        ("kind: 7", "not a Kubernetes object"),
        ("- 1", "not a Kubernetes object"),
        ("{apiVersion: v1, kind: Pod}", "a Pod without a name"),
        ("{apiVersion: v1, kind: Pod, metadata: {generateName: a}}", "a Pod without a name"),
    ],
)
def test_what_is_no_manifest_is_said_so(text: str, says: str) -> None:
    with pytest.raises(errors.ConfigError, match=says):
        objects.parse_manifests(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"nothing\.yaml cannot be read: No such file"):
        objects.read_manifest(tmp_path / "nothing.yaml")


def test_a_folder_without_manifests_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NothingMatched, match=r"has no \.yaml"):
        objects.read_manifest(tmp_path)


def test_an_unknown_kind_lists_those_there_are() -> None:
    with pytest.raises(errors.ConfigError, match="no kind 'Ingress'") as caught:
        objects.resource_of({"kind": "Ingress", "apiVersion": "networking.k8s.io/v1"})
    assert "Service" in caught.value.hint


def test_an_unknown_resource_lists_those_there_are() -> None:
    with pytest.raises(errors.NothingMatched, match="no resource 'ingress'") as caught:
        objects.find_resource("ingress")
    assert "services" in caught.value.hint


def test_a_field_that_left_the_manifest_leaves_the_object() -> None:
    patch = objects.plan_merge_patch(
        {"spec": {"a": 1, "b": 2}}, {"spec": {"a": 1}}, {"spec": {"a": 1, "b": 2, "c": 3}}
    )
    assert patch == {"spec": {"b": None}}


def test_lists_are_replaced_whole() -> None:
    assert objects.plan_merge_patch({}, {"a": [1, 2]}, {"a": [1]}) == {"a": [1, 2]}


def test_what_the_server_filled_in_is_no_difference() -> None:
    wanted = {"ports": [{"port": 80}]}
    current = {"ports": [{"port": 80, "protocol": "TCP"}]}
    assert objects.plan_merge_patch(wanted, wanted, current) == {}
    assert objects.plan_merge_patch({}, wanted, current) == {}


def test_what_the_server_added_at_the_end_of_a_list_stays() -> None:
    wanted = {"tolerations": [{"key": "ours"}]}
    current = {"tolerations": [{"key": "ours"}, {"key": "not-ready", "tolerationSeconds": 300}]}
    assert objects.plan_merge_patch(wanted, wanted, current) == {}
    assert objects.plan_merge_patch(current, wanted, current) == wanted, "it was ours, and is not"


def test_a_field_that_left_an_element_of_a_list_leaves_the_object() -> None:
    original = {"ports": [{"port": 80, "nodePort": 30080}]}
    wanted = {"ports": [{"port": 80}]}
    assert objects.plan_merge_patch(original, wanted, original) == wanted


values = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
trees = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396, as the server does it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def includes(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and includes(whole[key], value) for key, value in part.items()
        )
    return bool(whole == part)


@given(trees, trees, trees)
def test_patched_objects_say_what_the_manifest_says(
    original: Any, wanted: Any, current: Any
) -> None:
    after = merged(current, objects.plan_merge_patch(original, wanted, current))
    assert includes(after, wanted)
    assert objects.plan_merge_patch(wanted, wanted, after) == {}
