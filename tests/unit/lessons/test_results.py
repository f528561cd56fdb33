"""What a learner sees says the same as text, as HTML, and as JSON."""

from __future__ import annotations

import pytest

from labkit.display import shown
from labkit.lessons import results

ANSWERS = (("A", "the first"), ("B", "the second"))
CHECKED = results.Checked("service", "not yet", "port 80", "port 81", "labkit get service app1")
VALUES: list[tuple[shown.Shown, list[str]]] = [
    (
        results.Question("02-x", "chain", "Which?", ANSWERS, "B"),
        ["Which?", "the first", "this one"],
    ),
    (results.Grade("Which?", "A", "A", "So it is.", "A", "A"), ["You predicted A", "So it is."]),
    (results.Grade("Which?", "B", "A", "So it is.", "B", "A"), ["You predicted B; it was A."]),
    (results.Grade("Which?", "", "A", "So it is.", "", "A"), ["It was A."]),
    (results.CheckReport("02-x", (CHECKED,)), ["service: not yet", "port 80", "port 81"]),
    (results.CheckReport("02-x", ()), ["nothing to check"]),
    (results.Hint("02-x", "service", 2, "Look.", ("labkit get",)), ["Hint 2 of 4", "labkit get"]),
    (results.Done("Lesson 02", ("did it",)), ["Lesson 02", "did it"]),
    (
        results.Standings((results.Standing("02-x", "T", 15, "done", 2, 1, 3, 3, 0),)),
        ["02-x", "15 min", "done", "1 of 2", "3 of 3"],
    ),
]


def test_an_answer_is_said_in_words_and_a_name_as_it_is() -> None:
    yes_or_no = (("all", "yes, as before"), ("none", "no: nobody listens"))
    asked = results.Question("02-x", "q", "Will it?", yes_or_no)
    assert asked.label("none") == "no: nobody listens"
    assert asked.say("all") == '"yes, as before"'
    assert asked.say("some") == "some", "what happened need not be one of the answers"
    chains = (("KUBE-PORTALS-HOST", "the one of the host"), ("none", "none of them"))
    asked = results.Question("02-x", "q", "Which?", chains, names=True)
    assert asked.label("KUBE-PORTALS-HOST") == "KUBE-PORTALS-HOST: the one of the host"
    assert asked.say("KUBE-PORTALS-HOST") == "KUBE-PORTALS-HOST"
    assert asked.label("none") == "none of them"


@pytest.mark.parametrize(("value", "facts"), VALUES)
def test_every_form_has_the_same_facts(value: shown.Shown, facts: list[str]) -> None:
    for fact in facts:
        assert fact in repr(value)
        assert fact in value._repr_html_()


@pytest.mark.parametrize("value", [value for value, _ in VALUES])
def test_the_json_says_what_it_is(value: results.Grade) -> None:
    data = value.to_json()
    assert data["schema"].removeprefix("labkit.dev/") in results.SCHEMAS
    assert data["version"] == results.VERSION


def test_a_check_passes_only_with_all() -> None:
    passed = results.Checked("pods", "pass", "3", "", "")
    assert results.CheckReport("02-x", (passed,)).ok
    assert not results.CheckReport("02-x", (passed, CHECKED)).ok
