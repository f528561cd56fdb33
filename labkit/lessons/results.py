"""What a learner sees of a lesson: values with a text and an HTML form, as everything in labkit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from labkit.display import document, shown
from labkit.inspection import schema

#: What each of these values calls itself as JSON; the fields are the dataclass's, in camelCase.
SCHEMAS = {
    "lessons": "how far the learner has come in each lesson",
    "lesson-question": "a question, its answers, and the learner's prediction",
    "lesson-grade": "a prediction beside what happened",
    "lesson-checks": "the live lab against what a lesson's task asks for",
    "lesson-hint": "one step of the ladder of hints",
    "lesson-done": "what a lesson did to the lab, a line each",
    "glossary": "every word of the lessons, with one sentence and its lesson",
    "glossary-term": "one of them",
    "reference": "ways, chains, flags, ports, commands, statuses, faults: the code's own tables",
    "lesson-proofs": "what a lesson's author wants proved: its checks mean something",
}
VERSION = 1

State = Literal["pass", "not yet", "cannot tell"]


@dataclass(frozen=True, slots=True, repr=False)
class Question(shown.Shown):
    """A question with its answers, and the one that the learner has committed to.

    `names`: the answers have names that the learner knows, those of chains or machines.
    """

    lesson: str
    id: str
    text: str
    answers: tuple[tuple[str, str], ...]
    predicted: str = ""
    names: bool = False

    def label(self, value: str) -> str:
        """An answer to choose: its words, behind its name if it has one."""
        words = dict(self.answers)[value]
        return f"{value}: {words}" if self._is_name(value) else words

    def say(self, value: str) -> str:
        """An answer within a sentence."""
        words = dict(self.answers).get(value)
        return value if words is None or self._is_name(value) else f'"{words}"'

    def _is_name(self, value: str) -> bool:
        return self.names and value != "none"

    def document(self) -> document.Section:
        rows = [(value, words, _mine(value, self.predicted)) for value, words in self.answers]
        table = document.Table(("answer", "meaning", "yours"), rows)
        how = f"lesson.predict({self.id!r}, ...) commits you to one of them."
        return document.Section(self.text, (table, document.Text(how)))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("lesson-question", VERSION, self)


@dataclass(frozen=True, slots=True, repr=False)
class Grade(shown.Shown):
    """A prediction beside what happened. `predicted` empty: nobody has predicted anything.

    `expected` and `happened` are the two as one says them.
    """

    question: str
    predicted: str
    truth: str
    why: str
    expected: str
    happened: str

    @property
    def right(self) -> bool:
        return self.predicted == self.truth

    def _verdict(self) -> str | document.Mark:
        if not self.predicted:
            return f"It was {self.happened}. You had not predicted anything."
        if self.right:
            return document.good(f"You predicted {self.expected}, and so it was.")
        return document.bad(f"You predicted {self.expected}; it was {self.happened}.")

    def document(self) -> document.Section:
        return document.Section(
            self.question, (document.Text(self._verdict()), document.Text(self.why))
        )

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("lesson-grade", VERSION, self)


@dataclass(frozen=True, slots=True)
class Checked:
    """One check of the live lab. `look` says where to look, or which command shows it."""

    id: str
    state: State
    expected: str
    found: str
    look: str


@dataclass(frozen=True, slots=True, repr=False)
class CheckReport(shown.Shown):
    """All checks of a lesson, or one."""

    lesson: str
    checks: tuple[Checked, ...]

    @property
    def ok(self) -> bool:
        return all(one.state == "pass" for one in self.checks)

    def _blocks(self) -> Iterator[document.Block]:
        if not self.checks:
            yield document.Text("This lesson has nothing to check: go on when you are ready.")
        for one in self.checks:
            mark = document.good if one.state == "pass" else document.bad
            yield document.Text(mark(f"{one.id}: {one.state}"))
            yield document.Text(f"expected: {one.expected}")
            if one.state != "pass":
                yield document.Text(f"found: {one.found}")
                yield document.Text(f"look: {one.look}")

    def document(self) -> document.Section:
        return document.Section(f"Checks of lesson {self.lesson}", tuple(self._blocks()))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("lesson-checks", VERSION, self)


@dataclass(frozen=True, slots=True, repr=False)
class Hint(shown.Shown):
    """A step of the ladder: 1 nudge, 2 what is wrong right now, 3 nearly all, 4 the solution."""

    lesson: str
    check: str
    level: int
    text: str
    code: tuple[str, ...] = ()

    def document(self) -> document.Section:
        heading = f"Hint {self.level} of 4 for {self.check}" if self.check else "No hint is needed"
        code = (document.Code(self.code),) if self.code else ()
        return document.Section(heading, (document.Text(self.text), *code))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("lesson-hint", VERSION, self)


@dataclass(frozen=True, slots=True, repr=False)
class Done(shown.Shown):
    """Something was done to the lab or the learner's files: one line for each."""

    heading: str
    lines: tuple[str, ...]

    def document(self) -> document.Section:
        said = self.lines or ("nothing had to change",)
        return document.Section(self.heading, tuple(document.Text(line) for line in said))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("lesson-done", VERSION, self)


@dataclass(frozen=True, slots=True)
class Proven:
    """One thing that has to be true of a lesson. `found` is empty where it is."""

    claim: str
    holds: bool
    found: str


@dataclass(frozen=True, slots=True, repr=False)
class Proof(shown.Shown):
    """What `labkit lessons test` found of one lesson."""

    lesson: str
    claims: tuple[Proven, ...]

    @property
    def ok(self) -> bool:
        return all(one.holds for one in self.claims)

    def _blocks(self) -> Iterator[document.Block]:
        for one in self.claims:
            if one.holds:
                yield document.Text(document.good(f"yes  {one.claim}"))
            else:
                yield document.Text(document.bad(f"no   {one.claim}: {one.found}"))

    def document(self) -> document.Section:
        return document.Section(f"Lesson {self.lesson}", tuple(self._blocks()))


@dataclass(frozen=True, slots=True, repr=False)
class Proofs(shown.Shown):
    """The proofs of several lessons: one document, whatever their number."""

    proofs: tuple[Proof, ...]

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.proofs)

    def document(self) -> document.Section:
        return document.Section("Lessons, tested", tuple(one.document() for one in self.proofs))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("lesson-proofs", VERSION, self)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the learner has come in one lesson."""

    name: str
    title: str
    minutes: int
    state: Literal["not begun", "begun", "done"]
    predictions: int
    right: int
    checks: int
    passed: int
    hints: int


@dataclass(frozen=True, slots=True, repr=False)
class Standings(shown.Shown):
    """All lessons, in order."""

    lessons: tuple[Standing, ...]

    def document(self) -> document.Section:
        rows: list[list[document.Cell]] = [
            [
                one.name, one.title, f"{one.minutes} min",
                document.good("done") if one.state == "done" else one.state,
                f"{one.right} of {one.predictions}", f"{one.passed} of {one.checks}", one.hints,
            ]
            for one in self.lessons
        ]  # fmt: skip
        columns = ("lesson", "title", "takes", "state", "predicted", "checks", "hints")
        return document.Section("Lessons", (document.Table(columns, rows),))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("lessons", VERSION, self)


def _mine(value: str, predicted: str) -> str:
    return "this one" if value == predicted else ""
