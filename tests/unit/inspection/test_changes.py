"""Two looks, and what is different."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.inspection import changes

leaves = st.one_of(st.integers(0, 9), st.booleans(), st.text("ab", min_size=1, max_size=3))
documents: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=10,
)


def test_a_rule_in_front_is_one_addition_and_a_counter_a_change() -> None:
    rule = {"text": "-A X -j ACCEPT", "packets": 3, "field": ""}
    before = {"rules": [rule, {"text": "-A Y", "packets": 0}]}
    after = {"rules": [{"text": "-A Z", "packets": 1}, rule | {"packets": 8}]}
    found = changes.find_changes(before, after, name="app1")
    assert [(one.kind, one.path, one.before, one.after) for one in found.changes] == [
        ("added", "rules[-A Z].text", "", "-A Z"),
        ("added", "rules[-A Z].packets", "", "1"),
        ("changed", "rules[-A X -j ACCEPT].packets", "3", "8"),
        ("removed", "rules[-A Y].text", "-A Y", ""),
        ("removed", "rules[-A Y].packets", "0", ""),
    ]
    assert "3 -> 8 (+5)" in repr(found)
    assert "3 -&gt; 8 (+5)" in found._repr_html_()
    assert found.to_json()["schema"] == "labkit.dev/changes"


def test_two_of_the_same_name_stay_apart() -> None:
    found = changes.find_changes([{"name": "a"}], [{"name": "a"}, {"name": "a"}])
    assert [one.path for one in found.changes] == ["[a#2].name"]


def test_a_word_that_changes_has_no_difference() -> None:
    assert "true -> off" in repr(changes.find_changes({"x": True}, {"x": "off"}))


def test_nothing() -> None:
    assert "nothing has changed" in repr(changes.find_changes({"x": 1}, {"x": 1}))


@given(documents)
def test_a_document_does_not_differ_from_itself(value: Any) -> None:
    assert changes.find_changes(value, value).changes == ()


@given(documents, documents)
def test_there_and_back_are_each_other_s_opposite(one: Any, other: Any) -> None:
    there = {c.path: (c.before, c.after) for c in changes.find_changes(one, other).changes}
    back = {c.path: (c.after, c.before) for c in changes.find_changes(other, one).changes}
    assert there == back


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_marked_lines_are_the_new_text(before: list[str], after: list[str]) -> None:
    marked = list(changes.mark_lines("\n".join(before), "\n".join(after)))
    assert [line for _, line in marked] == "\n".join(after).splitlines()
    assert any(new for new, _ in marked) or len(after) <= len(before)
