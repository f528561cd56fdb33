"""Proof that a lesson works, for its author: `labkit lessons test`.

The checks of a lesson mean something when they fail at its start, pass once its solution is
applied, and tell the same again after a reset. All of that is done twice, on the live lab: what
comes out differently the second time would puzzle a learner too.

The learner's progress is not touched; objects of their own are put aside, as every lesson does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from labkit.lessons import catalogue, checks, results
from labkit.lessons import lesson as lessons

if TYPE_CHECKING:
    from labkit.lab import Lab

States = Mapping[str, results.State]


def prove(entry: catalogue.Entry, lab: Lab) -> results.Proof:
    """Solve and reset a lesson twice. The lab ends at the lesson's start; it has to run.

    Raises ConfigError for a TOML that says what a lesson cannot, TimedOut when the lab does not
    become what the lesson needs.
    """
    begun = lessons.Lesson(entry, lab, results.Done("", ()))
    rounds = [_round(begun) for _ in range(2)]
    return results.Proof(entry.name, tuple(judge(*rounds)))


def _round(begun: lessons.Lesson) -> tuple[States, States, States]:
    lessons.bring_to_checkpoint(begun.lab, begun.name, begun.file)
    at_start = _states(begun, wait=False)
    begun.solve()
    solved = _states(begun, wait=True)
    lessons.bring_to_checkpoint(begun.lab, begun.name, begun.file)
    return at_start, solved, _states(begun, wait=False)


def _states(begun: lessons.Lesson, *, wait: bool) -> States:
    return {one.id: checks.check(begun.lab, one, wait=wait).state for one in begun.file.checks}


def judge(
    first: tuple[States, States, States], second: tuple[States, States, States]
) -> Iterator[results.Proven]:
    """What the two rounds prove: each the states at the start, solved, and after the reset."""
    at_start, solved, reset = first
    yield _claim(
        "the unsolved lesson fails its checks",
        any(state != "pass" for state in at_start.values()) or not at_start,
        f"all pass already: {_tell(at_start)}",
    )
    yield _claim(
        "its checks can tell", "cannot tell" not in at_start.values(), f"they say {_tell(at_start)}"
    )
    yield _claim(
        "the solution passes", all(state == "pass" for state in solved.values()), _tell(solved)
    )
    yield _claim("reset returns to the start", reset == at_start, f"now {_tell(reset)}")
    yield _claim("a second time is the same", first == second, f"then {_tell_rounds(second)}")


def _claim(what: str, holds: bool, otherwise: str) -> results.Proven:  # noqa: FBT001
    return results.Proven(what, holds, "" if holds else otherwise)


def _tell(states: States) -> str:
    return ", ".join(f"{id_}: {state}" for id_, state in states.items()) or "no checks"


def _tell_rounds(found: tuple[States, States, States]) -> str:
    return "; ".join(map(_tell, found))
