"""The first lesson as a person does it: a wrong prediction, its grade, and a look at it later."""

from __future__ import annotations

import json

import pytest
from playwright import sync_api as playwright

import labkit
from labkit.lessons import progress, workspace
from tests.browser import jupyter

pytestmark = [pytest.mark.browser, pytest.mark.lab, pytest.mark.timeout(300)]
LESSON = "00-the-lab"


@pytest.fixture
def lesson(page: playwright.Page, server: jupyter.Jupyter, lab: labkit.Lab) -> playwright.Page:
    """The learner's own copy of the lesson, every cell run once."""
    workspace.copy_notebooks(server.folder)
    jupyter.open_notebook(page, server, f"{LESSON}.ipynb")
    jupyter.run_all(page)
    return page


def test_a_wrong_prediction_is_graded_against_what_happened(
    lesson: playwright.Page, server: jupyter.Jupyter
) -> None:
    expect = playwright.expect
    expect(lesson.get_by_text("It was: 3. You had not predicted anything.")).to_be_visible()
    question = lesson.locator(".labkit-view", has_text="How many copies will answer?")
    question.get_by_label("one: the first that was asked").check()
    question.get_by_role("button", name="Commit").focus()
    lesson.keyboard.press("Enter")
    expect(question.get_by_role("status")).to_have_text("You expect: 1")
    jupyter.run_all(lesson)
    expect(lesson.get_by_text("You predicted 1; it was 3.")).to_be_visible()
    assert progress.load().of(LESSON).predictions["how-many"] == progress.Prediction("1", "3")

    jupyter.save(lesson)
    jupyter.shut_down_kernels(server)
    saved = json.loads((server.folder / f"{LESSON}.ipynb").read_text())
    shown = json.dumps([cell.get("outputs") for cell in saved["cells"]])
    assert "You predicted 1; it was 3." in shown
    workspace.copy_notebooks(server.folder)
    assert json.loads((server.folder / f"{LESSON}.ipynb").read_text()) == saved
