"""Sets of fields, and what an apply does with them: the laws that hold for any of them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import kinds
from labkit.apiserver.ownership import applying, contents, entries, fields, merging, updating
from labkit.apiserver.ownership.fields import Fields, difference, intersection, union

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
SERVICES = kinds.find("", "v1", "services")
assert SERVICES

# --- sets of fields ------------------------------------------------------------------------------

STEPS = st.sampled_from(
    ["f:a", "f:b", 'k:{"port":80,"protocol":"TCP"}', 'k:{"name":"x"}', 'v:"x"', "v:1", "i:0"]
)


def grow(below: st.SearchStrategy[Fields]) -> st.SearchStrategy[Fields]:
    """A node over others; a dot alone would say the same as a leaf."""
    nodes = st.dictionaries(STEPS, below, min_size=1, max_size=3)
    return st.builds(lambda node, dot: {**dot, **node}, nodes, st.sampled_from([{}, {".": {}}]))


NODES: st.SearchStrategy[Fields] = st.recursive(st.just({}), grow, max_leaves=8)
SETS = st.dictionaries(STEPS, NODES, max_size=3)


def places(found: Fields) -> set[str]:
    return set(fields.paths(found))


@given(SETS, SETS)
def test_the_algebra_is_that_of_sets(one: Fields, other: Fields) -> None:
    assert places(union(one, other)) == places(one) | places(other)
    assert places(difference(one, other)) == places(one) - places(other)
    assert places(intersection(one, other)) == places(one) & places(other)


@given(SETS, SETS)
def test_what_says_the_same_looks_the_same(one: Fields, other: Fields) -> None:
    assert union(one, other) == union(other, one)
    assert intersection(one, other) == intersection(other, one)
    assert union(difference(one, other), intersection(one, other)) == one
    assert difference(one, one) == {}


@given(SETS)
def test_a_set_survives_its_text(found: Fields) -> None:
    assert fields.parse(json.loads(json.dumps(found))) == found


def test_steps_are_written_one_way() -> None:
    sent: Fields = {'k:{"protocol": "TCP", "port": 80}': {}, "i:07": {}}
    assert fields.parse(sent) == {'k:{"port":80,"protocol":"TCP"}': {}, "i:7": {}}


@pytest.mark.parametrize("wrong", [{"a": {}}, {"k:1": {}}, {"v:{": {}}, {"i:x": {}}, {"f:a": 1}])
def test_what_is_no_set(wrong: Any) -> None:
    with pytest.raises(fields.FieldsError):
        fields.parse(wrong)


def test_a_set_has_a_bottom() -> None:
    deep: Fields = {}
    for _ in range(100):
        deep = {"f:a": deep}
    with pytest.raises(fields.FieldsError, match="nested deeper"):
        fields.parse(deep)


# --- manifests -----------------------------------------------------------------------------------

WORDS = st.sampled_from(["a", "b", "c"])
PORTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"port": st.sampled_from([80, 81, 82])},
    optional={
        "protocol": st.sampled_from(["TCP", "UDP"]),
        "name": WORDS,
        "targetPort": st.sampled_from([1, 2]),
    },
)


def port_key(port: dict[str, Any]) -> tuple[int, str]:
    return port["port"], port.get("protocol", "TCP")


SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    # One field at least: who owns nothing at all has no entry.
    {"sessionAffinity": st.just("None")},
    optional={
        "ports": st.lists(PORTS, max_size=3, unique_by=port_key),
        "selector": st.dictionaries(WORDS, WORDS, max_size=2),
        "externalIPs": st.lists(WORDS, max_size=2),
        "type": WORDS,
        "sessionAffinityConfig": st.just({"clientIP": {"timeoutSeconds": 1}}),
    },
)
METAS = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(WORDS, WORDS, max_size=2),
        "finalizers": st.lists(WORDS, max_size=2, unique=True),
    },
)


def manifest(meta: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    named = {"name": "app1", **meta}
    return {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": spec}


MANIFESTS = st.builds(manifest, METAS, SPECS)


def apply(
    live: dict[str, Any] | None, wanted: dict[str, Any], who: str = "ann", *, now: str = NOW
) -> dict[str, Any]:
    assert SERVICES
    before = copy.deepcopy(live)
    request = applying.Apply(copy.deepcopy(wanted), SERVICES, who, force=True)
    result = applying.apply(live, request, now)
    assert live == before
    return result


def bare(obj: dict[str, Any]) -> dict[str, Any]:
    """Without its managers, and without what is empty: a set or map of nothing says nothing."""
    meta = {k: v for k, v in obj["metadata"].items() if v and k != "managedFields"}
    spec = {k: v for k, v in obj.get("spec", {}).items() if v}
    return {**obj, "metadata": meta, "spec": spec}


def owners(obj: dict[str, Any]) -> dict[str, Fields]:
    managed = obj["metadata"].get("managedFields", [])
    return {entry["manager"]: entry["fieldsV1"] for entry in managed}


@given(MANIFESTS)
def test_to_apply_again_changes_nothing(wanted: dict[str, Any]) -> None:
    once = apply(None, wanted)
    twice = apply(once, wanted, now=LATER)
    assert updating.is_same(twice, once)


@given(MANIFESTS, MANIFESTS)
def test_one_manager_has_what_it_applied_last(first: dict[str, Any], then: dict[str, Any]) -> None:
    """Order in a list that is a map counts for nothing but looks."""
    after = apply(apply(None, first), then)
    assert contents.compare(bare(after), bare(then), "Service") == contents.Differences()
    assert owners(after) == owners(apply(None, then))


@given(MANIFESTS, MANIFESTS)
def test_to_give_everything_up_returns_to_before(
    anns: dict[str, Any], bobs: dict[str, Any]
) -> None:
    """What bob added goes with him; what he changed by force stays changed, and is nobody's."""
    base = apply(None, anns)
    both = apply(base, bobs, "bob")
    left = apply(both, manifest({}, {}), "bob")
    changed = contents.compare(base, both, "Service").modified
    differs = contents.compare(bare(base), bare(left), "Service")
    assert difference(differs.modified, changed) == {}
    assert "bob" not in owners(left) or owners(left)["bob"] == {"f:spec": {}}


@given(MANIFESTS, MANIFESTS)
def test_after_an_apply_the_object_is_as_the_manifest_says(
    anns: dict[str, Any], bobs: dict[str, Any]
) -> None:
    after = apply(apply(None, anns), bobs, "bob")
    merged_again = merging.merge(after, bobs, "Service")
    assert contents.compare(after, merged_again, "Service") == contents.Differences()


@given(MANIFESTS, MANIFESTS)
def test_a_conflict_is_what_force_would_take(anns: dict[str, Any], bobs: dict[str, Any]) -> None:
    assert SERVICES
    base = apply(None, anns)
    forced = apply(base, bobs, "bob")
    lost = difference(owners(base).get("ann", {}), owners(forced).get("ann", {}))
    request = applying.Apply(copy.deepcopy(bobs), SERVICES, "bob")
    if not lost:
        applying.apply(base, request, NOW)
        return
    with pytest.raises(applying.ConflictsError) as caught:
        applying.apply(base, request, NOW)
    assert {path for _, path in caught.value.paths} == places(lost)


@given(MANIFESTS, MANIFESTS)
def test_who_updates_owns_just_what_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = contents.compare(old, new, "Service")
    assert (found == contents.Differences()) == (bare_of_server(old) == bare_of_server(new))
    backwards = contents.compare(new, old, "Service")
    assert backwards.added == found.removed
    assert backwards.modified == found.modified


def bare_of_server(obj: dict[str, Any]) -> dict[str, Any]:
    """By keys, as the lists' order and what is empty and implied do not count."""
    spec = dict(obj["spec"])
    if "ports" in spec:
        spec["ports"] = {port_key(port): {"protocol": None, **port} for port in spec["ports"]}
    meta = {k: sorted(v) if k == "finalizers" else v for k, v in obj["metadata"].items()}
    return {"metadata": meta, "spec": spec}


# --- single cases --------------------------------------------------------------------------------


def ports(*numbers: int) -> list[dict[str, Any]]:
    return [{"port": number} for number in numbers]


@pytest.mark.parametrize(
    ("live", "wanted", "merged"),
    [
        ([1, 2], [3], [1, 2, 3]),
        ([1, 2, 3], [4, 3], [1, 2, 4, 3]),
        ([1, 2, 3], [3, 1], [2, 3, 1]),
        ([1, 2, 3, 4], [2, 9], [1, 2, 3, 4, 9]),
        ([], [2, 1], [2, 1]),
    ],
)
def test_the_order_of_a_merged_list(live: Any, wanted: Any, merged: Any) -> None:
    result = merging.merge(
        {"spec": {"ports": ports(*live)}}, {"spec": {"ports": ports(*wanted)}}, "Service"
    )
    assert [port["port"] for port in result["spec"]["ports"]] == merged


def test_items_that_cannot_be_told_apart() -> None:
    twice = {"spec": {"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}}
    (problem,) = merging.check(twice, "Service")
    assert problem == '.spec.ports: duplicate entries for key [port=80,protocol="TCP"]'
    (problem,) = merging.check({"spec": {"ports": [{"name": "a"}]}}, "Service")
    assert 'omits key field "port"' in problem


def test_duplicates_that_are_there_are_one_field() -> None:
    live = {"spec": {"containers": [{"name": "c", "env": [{"name": "A"}, {"name": "A"}]}]}}
    found = contents.compare({}, live, "Pod").added
    env = found["f:spec"]["f:containers"]['k:{"name":"c"}']["f:env"]
    assert env == {".": {}, 'k:{"name":"A"}': {}}
    wanted = {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}]}}
    merged = merging.merge(live, wanted, "Pod")
    assert merged["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]


def test_what_always_is_there_nobody_has_added() -> None:
    deployment = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}
    template = contents.compare({}, deployment, "Deployment").added["f:spec"]["f:template"]
    item: Fields = {".": {}, "f:name": {}, "f:image": {}}
    assert template == {"f:spec": {"f:containers": {'k:{"name":"c"}': item}}}


def test_the_oldest_updaters_are_put_together() -> None:
    known: entries.Entries = {}
    for number in range(14):
        manager = entries.Manager(f"m{number:02}", "Update", "", "v1")
        found = contents.Differences(added={f"f:{number}": {}})
        known = updating.take(known, manager, found, f"2026-01-01T00:00:{number:02}Z")
    assert len(known) == entries.MAX_UPDATERS
    ancient = known[entries.Manager("ancient-changes", "Update", "", "v1")]
    assert set(ancient.fields) == {f"f:{number}" for number in range(5)}
    assert ancient.time == "2026-01-01T00:00:04Z"


def test_appliers_come_first_then_the_older() -> None:
    made = [
        entries.Entry(entries.Manager("b", "Update", "", "v1"), {"f:a": {}}, NOW),
        entries.Entry(entries.Manager("a", "Update", "", "v1"), {"f:b": {}}, LATER),
        entries.Entry(entries.Manager("c", "Apply", "", "v1"), {"f:c": {}}, LATER),
        entries.Entry(entries.Manager("d", "Apply", "", "v1"), {}, LATER),
    ]
    rendered = entries.render({entry.manager.identity: entry for entry in made})
    assert [entry["manager"] for entry in rendered] == ["c", "b", "a"]
    assert entries.read(rendered) == entries.parse(rendered)
