"""Label and field selectors."""

from __future__ import annotations

import pytest

from labkit import errors
from labkit.apiserver import selectors

LABELS = {"app": "web", "tier": "front", "size": "3"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier = front", True),
        ("app!=web", False),
        ("other!=web", True),
        ("app in (web, api)", True),
        ("app notin (web,api)", False),
        ("other notin (a)", True),
        ("app", True),
        ("!app", False),
        ("!other", True),
        ("other", False),
        ("app in (web),tier=back", False),
        ("app=", False),
        ("size>2", True),
        ("size > 3", False),
        ("size<4", True),
        ("app>2", False),
        ("other<2", False),
    ],
)
def test_label_selectors(text: str, matches: bool) -> None:
    assert selectors.match_labels(selectors.parse_labels(text), LABELS) is matches


@pytest.mark.parametrize("text", ["a b", "a in", "=x", "a=b=c", "app in (a"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(errors.ApiError, match="unable to parse requirement"):
        selectors.parse_labels(text)


def test_a_service_with_the_pods_labels_and_more_does_not_match() -> None:
    assert selectors.equal_labels({"app": "web"}, LABELS)
    assert not selectors.equal_labels({"app": "web", "x": "y"}, LABELS)
    assert not selectors.equal_labels({"app": "web"}, None)


def test_field_selectors() -> None:
    terms = selectors.parse_fields("a=1,b!=2", {"a", "b"}.__contains__)
    assert selectors.match_fields(terms, {"a": "1", "b": "1"})
    assert not selectors.match_fields(terms, {"a": "1", "b": "2"})
    with pytest.raises(errors.ApiError, match="field label not supported: c"):
        selectors.parse_fields("c=1", {"a", "b"}.__contains__)
