"""What two rounds of a lesson prove."""

from __future__ import annotations

import pytest

from labkit.lessons import proving, results

RIGHT: tuple[proving.States, ...] = ({"a": "not yet"}, {"a": "pass"}, {"a": "not yet"})
PASSES: proving.States = {"a": "pass"}
FAILS: proving.States = {"a": "not yet"}
FAILING = (FAILS, FAILS, FAILS)


def failing(first: tuple[proving.States, ...], second: tuple[proving.States, ...]) -> list[str]:
    return [one.claim for one in proving.judge(first, second) if not one.holds]  # type: ignore[arg-type]


def test_a_lesson_as_it_should_be() -> None:
    assert failing(RIGHT, RIGHT) == []
    assert failing(({}, {}, {}), ({}, {}, {})) == [], "a lesson without a task has nothing to fail"


@pytest.mark.parametrize(
    ("found", "claim"),
    [
        ((PASSES, PASSES, PASSES), "the unsolved lesson fails its checks"),
        (({"a": "cannot tell"}, PASSES, {"a": "cannot tell"}), "its checks can tell"),
        ((FAILS, FAILS, FAILS), "the solution passes"),
        ((FAILS, PASSES, PASSES), "reset returns to the start"),
    ],
)
def test_what_is_wrong_with_one(found: tuple[proving.States, ...], claim: str) -> None:
    assert failing(found, found) == [claim]


def test_a_lesson_that_differs_from_time_to_time() -> None:
    assert failing(RIGHT, (FAILS, FAILS, FAILS)) == ["a second time is the same"]


def test_a_proof_says_what_failed_and_how() -> None:
    proof = results.Proof("12-x", tuple(proving.judge((FAILS, FAILS, FAILS), RIGHT)))  # type: ignore[arg-type]
    assert not proof.ok
    assert "no   the solution passes: a: not yet" in repr(proof)
    [told] = results.Proofs((proof,)).to_json()["proofs"]
    assert told["claims"][2] == {
        "claim": "the solution passes", "holds": False, "found": "a: not yet",
    }  # fmt: skip


def test_proofs_hold_together_or_not_at_all() -> None:
    right = results.Proof("11-x", tuple(proving.judge(RIGHT, RIGHT)))  # type: ignore[arg-type]
    wrong = results.Proof("12-x", tuple(proving.judge(FAILING, FAILING)))
    assert results.Proofs((right,)).ok
    both = results.Proofs((right, wrong))
    assert not both.ok
    assert "Lesson 11-x" in repr(both)
    assert "no   the solution passes" in repr(both)
