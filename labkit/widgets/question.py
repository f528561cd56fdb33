"""A question of a lesson, to be answered before the request is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.widgets import controls, view

if TYPE_CHECKING:
    from labkit.lessons import results
    from labkit.lessons.lesson import Lesson


class Question(view.View):
    """Choose an answer and commit to it. `value` is the question as `lesson.ask` gives it."""

    def __init__(self, lesson: Lesson, question: str) -> None:
        asked = lesson.ask(question)
        super().__init__(
            asked.text,
            [
                controls.Choice(
                    "answer",
                    asked.text,
                    tuple((value, asked.label(value)) for value, _ in asked.answers),
                    asked.predicted,
                    radio=True,
                ),
                controls.Button("commit", "Commit", "This is what you expect to happen"),
            ],
            {"commit": ("writing it down", self._commit)},
        )
        self._lesson, self._question = lesson, question
        self.keep(asked, _say(asked))

    def _commit(self, *, answer: str) -> None:
        asked = self._lesson.predict(self._question, answer)
        self.keep(asked, _say(asked))


def _say(asked: results.Question) -> str:
    predicted = asked.predicted
    return f"You expect {asked.say(predicted)}" if predicted else "Nothing is predicted yet"
