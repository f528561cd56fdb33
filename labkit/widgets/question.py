"""A question of a lesson, to be answered before the request is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.widgets import controls, view

if TYPE_CHECKING:
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
                    tuple((value, f"{value}: {words}") for value, words in asked.answers),
                    asked.predicted,
                    radio=True,
                ),
                controls.Button("commit", "Commit", "This is what you expect to happen"),
            ],
            {"commit": ("writing it down", self._commit)},
        )
        self._lesson, self._question = lesson, question
        self.value = asked
        self.said = _say(asked.predicted)

    def _commit(self, *, answer: str) -> None:
        asked = self._lesson.predict(self._question, answer)
        self.value, self.said = asked, _say(asked.predicted)


def _say(predicted: str) -> str:
    return f"You expect: {predicted}" if predicted else "Nothing is predicted yet"
