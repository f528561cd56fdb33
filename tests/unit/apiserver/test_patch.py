"""Merge patch, strategic merge patch, JSON patch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import patch, strategic

PORTS = {"spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 443, "nodePort": 30443}]}}


def merged(changes: Any, target: Any = PORTS, struct: str = "Service") -> Any:
    before = copy.deepcopy(target)
    result = strategic.merge(target, changes, struct)
    assert target == before, "the target is left alone"
    return result


class TestMergePatch:
    def test_the_examples_of_rfc_7386(self) -> None:
        cases = [
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            (["a", "b"], ["c", "d"], ["c", "d"]),
            ({"a": "foo"}, None, None),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
            ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ]
        for target, changes, wanted in cases:
            assert patch.merge(target, changes) == wanted

    @given(st.dictionaries(st.text(), st.integers() | st.none()))
    def test_applying_twice_changes_nothing_more(self, changes: dict[str, Any]) -> None:
        once = patch.merge({"a": 1}, changes)
        assert patch.merge(once, changes) == once


class TestStrategicMerge:
    def test_an_item_is_found_by_its_key(self) -> None:
        result = merged({"spec": {"ports": [{"port": 443, "name": "https"}]}})
        assert result["spec"]["ports"] == [
            {"port": 80, "nodePort": 30080},
            {"port": 443, "nodePort": 30443, "name": "https"},
        ]

    @pytest.mark.parametrize(
        ("asked", "wanted"),
        [([22], [22, 80, 443]), ([443, 22], [80, 443, 22]), ([443, 80], [443, 80])],
    )
    def test_new_items_go_first_and_others_keep_their_place(
        self, asked: list[int], wanted: list[int]
    ) -> None:
        result = merged({"spec": {"ports": [{"port": port} for port in asked]}})
        assert [port["port"] for port in result["spec"]["ports"]] == wanted

    def test_a_directive_that_nobody_knows(self) -> None:
        with pytest.raises(
            patch.PatchError, match=r"unknown patch type: nope in map: map\[\$patch"
        ):
            merged({"spec": {"ports": [{"port": 80, "$patch": "nope"}]}})

    def test_an_item_is_deleted_by_directive(self) -> None:
        result = merged({"spec": {"ports": [{"port": 80, "$patch": "delete"}]}})
        assert [port["port"] for port in result["spec"]["ports"]] == [443]

    def test_a_list_is_replaced_by_directive(self) -> None:
        result = merged({"spec": {"ports": [{"$patch": "replace"}, {"port": 1}]}})
        assert result["spec"]["ports"] == [{"port": 1}]

    def test_an_object_is_replaced_or_emptied_by_directive(self) -> None:
        target = {"spec": {"selector": {"a": "1", "b": "2"}}}
        replaced = merged({"spec": {"selector": {"$patch": "replace", "c": "3"}}}, target)
        assert replaced["spec"]["selector"] == {"c": "3"}
        emptied = merged({"spec": {"selector": {"$patch": "delete"}}}, target)
        assert emptied["spec"]["selector"] == {}

    def test_the_order_is_the_clients(self) -> None:
        order = {"$setElementOrder/ports": [{"port": 443}, {"port": 80}]}
        result = merged({"spec": {**order, "ports": [{"port": 22}]}})
        assert [port["port"] for port in result["spec"]["ports"]] == [443, 80, 22]

    def test_plain_values_are_a_set(self) -> None:
        target = {"metadata": {"finalizers": ["a/a", "b/b"]}}
        added = merged({"metadata": {"finalizers": ["b/b", "c/c"]}}, target)
        assert added["metadata"]["finalizers"] == ["a/a", "b/b", "c/c"]
        taken = merged({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/a"]}}, target)
        assert taken["metadata"]["finalizers"] == ["b/b"]

    def test_retained_keys(self) -> None:
        target = {"spec": {"volumes": [{"name": "a", "emptyDir": {}}]}}
        item = {"name": "a", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}
        result = merged({"spec": {"volumes": [item]}}, target, "Pod")
        assert result["spec"]["volumes"] == [{"name": "a", "hostPath": {"path": "/"}}]

    def test_a_list_without_key_is_replaced(self) -> None:
        target = {"spec": {"externalIPs": ["1.1.1.1"]}}
        result = merged({"spec": {"externalIPs": ["2.2.2.2"]}}, target)
        assert result["spec"]["externalIPs"] == ["2.2.2.2"]

    def test_null_removes(self) -> None:
        target = {"metadata": {"labels": {"a": "1", "b": "2"}}}
        result = merged({"metadata": {"labels": {"a": None}}}, target)
        assert result["metadata"]["labels"] == {"b": "2"}

    def test_an_item_without_its_key_is_refused(self) -> None:
        with pytest.raises(patch.PatchError, match="declared merge key: port"):
            merged({"spec": {"ports": [{"name": "x"}]}})

    def test_containers_and_their_environment_merge_by_name(self) -> None:
        container = {"name": "a", "image": "x", "env": [{"name": "A", "value": "1"}]}
        target = {"spec": {"containers": [container]}}
        change = {"name": "a", "env": [{"name": "B", "value": "2"}]}
        result = merged({"spec": {"containers": [change]}}, target, "Pod")
        (found,) = result["spec"]["containers"]
        assert found["image"] == "x"
        assert [variable["name"] for variable in found["env"]] == ["B", "A"]


class TestJsonPatch:
    @pytest.mark.parametrize(
        ("target", "operation", "wanted"),
        [
            ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
            ({"a": [1]}, {"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}),
            ({"a": [1]}, {"op": "add", "path": "/a/0", "value": 0}, {"a": [0, 1]}),
            ({"a": 1}, {"op": "remove", "path": "/a"}, {}),
            ({"a": [1, 2]}, {"op": "remove", "path": "/a/0"}, {"a": [2]}),
            ({"a": 1}, {"op": "replace", "path": "/a", "value": 2}, {"a": 2}),
            ({"a": 1}, {"op": "replace", "path": "", "value": {}}, {}),
            ({"a": 1}, {"op": "move", "from": "/a", "path": "/b"}, {"b": 1}),
            ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
            ({"a/b": 1, "~": 2}, {"op": "test", "path": "/a~1b", "value": 1}, {"a/b": 1, "~": 2}),
            ({"~": 2}, {"op": "remove", "path": "/~0"}, {}),
        ],
    )
    def test_an_operation(self, target: Any, operation: Any, wanted: Any) -> None:
        before = copy.deepcopy(target)
        assert patch.json_patch(target, [operation]) == wanted
        assert target == before

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "remove", "path": "/x"},
            {"op": "add", "path": "/a/7", "value": 1},
            {"op": "add", "path": "a", "value": 1},
            {"op": "test", "path": "/a", "value": 9},
            {"op": "jump", "path": "/a"},
            {"op": "add", "path": "/b"},
            "nonsense",
        ],
    )
    def test_what_cannot_be_done_is_refused(self, operation: Any) -> None:
        with pytest.raises(patch.PatchError):
            patch.json_patch({"a": [1]}, [operation])


class TestBombs:
    def test_copies_of_copies(self) -> None:
        """Forty of these would be a terabyte."""
        copies = [{"op": "copy", "from": "/a", "path": f"/a/b{n}"} for n in range(40)]
        with pytest.raises(patch.PatchError, match="copies are larger"):
            patch.json_patch({"a": {"x": "y" * 50}}, copies)

    def test_more_operations_than_anybody_needs(self) -> None:
        many = [{"op": "test", "path": "", "value": {}}] * 10_001
        with pytest.raises(patch.PatchError, match="maximum operations in a JSON patch is 10000"):
            patch.json_patch({}, many)

    def test_what_was_given_is_left_alone(self) -> None:
        operations: list[dict[str, Any]] = [
            {"op": "add", "path": "/a", "value": {}},
            {"op": "add", "path": "/a/b", "value": 1},
        ]
        assert patch.json_patch({}, operations) == {"a": {"b": 1}}
        assert operations[0]["value"] == {}
