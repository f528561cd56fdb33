"""A check says what it expects, what there is, and where to look; never a hint in place of that."""

from __future__ import annotations

from typing import Any

import pytest

from labkit import errors
from labkit.lessons import checks, grammar
from labkit.model import commands

NUDGE = "a hint, for who asks for one"


class Lab:
    """Answers every question of a check with one error, or with what a program printed."""

    def __init__(self, answer: Exception | str) -> None:
        self.answer = answer

    def exec(self, on: str, argv: tuple[str, ...]) -> commands.Command:
        return commands.Command(argv, stdout=self._give(), node=on)

    def probe(self, *_: object, **__: object) -> Any:
        self._give()

    def get(self, *_: object) -> Any:
        self._give()

    def _give(self) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


CHECKS: list[tuple[grammar.Check, str, str]] = [
    (
        grammar.ObjectCheck(
            id="-", nudge=NUDGE, object="service/a", holds={"spec.type": "NodePort"}
        ),
        "service/a with spec.type: NodePort",
        "labkit get service/a -o yaml",
    ),
    (
        grammar.EndpointsCheck(id="-", nudge=NUDGE, service="a", count=1),
        "1 ready endpoint behind a",
        "labkit get endpoints/a, labkit get pods",
    ),
    (
        grammar.RequestCheck(id="-", nudge=NUDGE, service="a", sender="pod/b", count=4, pods=2),
        "an answer by 2 pods",
        "labkit probe a --from pod/b --via cluster-ip --count 4",
    ),
    (
        grammar.RequestCheck(id="-", nudge=NUDGE, service="a", answered=False, node="node1"),
        "no answer",
        "labkit probe a --via cluster-ip --node node1 --count 1",
    ),
    (
        grammar.NodeCheck(
            id="-",
            nudge=NUDGE,
            on="node1",
            run=("sh", "-c", "ls *"),
            prints="x",
            means="there is x",
        ),
        "there is x",
        "labkit exec node1 -- sh -c 'ls *'",
    ),
]


@pytest.mark.parametrize(("one", "expected", "where"), CHECKS)
def test_what_is_not_there_yet_is_no_hint(one: grammar.Check, expected: str, where: str) -> None:
    seen = checks.check(Lab(errors.NothingMatched("there is no a")), one)  # type: ignore[arg-type]
    assert (seen.state, seen.expected, seen.look) == ("not yet", expected, where)
    assert seen.found == "there is no a"


@pytest.mark.parametrize(("one", "expected", "where"), CHECKS)
def test_a_lab_that_does_not_answer(one: grammar.Check, expected: str, where: str) -> None:
    seen = checks.check(Lab(errors.ConnectionFailed("no route")), one)  # type: ignore[arg-type]
    assert (seen.state, seen.expected, seen.look) == ("cannot tell", expected, where)
    assert seen.found == "no route"


@pytest.mark.parametrize(
    ("printed", "wanted", "found"),
    [
        ("x", True, ""),
        ("y", True, "y"),
        ("", True, "nothing was printed"),
        ("1\n2\n3\n4", True, "4 lines, and none that says so"),
        ("y", False, ""),
        ("1\n2\n3\n4\nx here", False, "x here"),
    ],
)
def test_what_a_program_prints(printed: str, wanted: bool, found: str) -> None:
    one = grammar.NodeCheck(
        id="-", nudge=NUDGE, on="node1", run=("ls",), prints="x", wanted=wanted, means="x"
    )
    assert checks.check(Lab(printed), one).found == found  # type: ignore[arg-type]
