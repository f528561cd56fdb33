"""Lessons as a person does them: predict wrongly, ask for hints, break things, come back later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from playwright import sync_api as playwright

import labkit
from labkit import faults
from labkit.lessons import lesson as lessons
from labkit.lessons import progress, workspace
from tests.browser import jupyter

pytestmark = [pytest.mark.browser, pytest.mark.lab, pytest.mark.timeout(300)]
WRONG = 'You predicted "one: the first that was asked"; it was "all three".'
Opened: TypeAlias = Callable[[str], playwright.Page]


@pytest.fixture
def opened(page: playwright.Page, server: jupyter.Jupyter, lab: labkit.Lab) -> Opened:
    """Opens the learner's own copy of a lesson; no cell has run yet."""

    def open_lesson(name: str) -> playwright.Page:
        workspace.copy_notebooks(server.folder)
        jupyter.open_notebook(page, f"{name}.ipynb")
        return page

    return open_lesson


def question(page: playwright.Page, text: str) -> playwright.Locator:
    return page.locator(".labkit-view", has_text=text)


def test_a_wrong_prediction_is_graded_and_still_known_when_the_kernel_is_not(
    opened: Opened, server: jupyter.Jupyter
) -> None:
    name = "00-the-lab"
    expect = playwright.expect
    lesson = opened(name)
    jupyter.run_all(lesson)
    expect(
        lesson.get_by_text('It was "all three". You had not predicted anything.')
    ).to_be_visible()
    asked = question(lesson, "How many copies will answer?")
    asked.get_by_label("one: the first that was asked").check()
    asked.get_by_role("button", name="Commit").focus()
    lesson.keyboard.press("Enter")
    expect(asked.get_by_role("status")).to_have_text('You expect "one: the first that was asked"')
    jupyter.run_all(lesson)
    expect(lesson.get_by_text(WRONG)).to_be_visible()
    assert progress.load().of(name).predictions["how-many"] == progress.Prediction("1", "3")

    jupyter.restart_kernel(lesson)
    asked.get_by_role("button", name="Commit").click()
    expect(asked.get_by_role("status")).to_contain_text("run this cell again")
    jupyter.run_all(lesson)
    expect(lesson.get_by_text(WRONG)).to_be_visible()
    expect(asked.get_by_label("one: the first that was asked")).to_be_checked()

    jupyter.save(lesson)
    path = server.folder / f"{name}.ipynb"
    saved = path.read_text()
    workspace.copy_notebooks(server.folder)
    assert json.loads(path.read_text()) == json.loads(saved), "the learner's work is never replaced"


def test_a_lesson_half_done_is_read_without_a_kernel_and_goes_on_with_one(
    opened: Opened, server: jupyter.Jupyter, lab: labkit.Lab, tmp_path: Path
) -> None:
    expect = playwright.expect
    lessons.start("00", lab).reset()
    lesson = opened("00-the-lab")
    jupyter.run_all(lesson)
    asked = question(lesson, "How many copies will answer?")
    asked.get_by_label("two").check()
    asked.get_by_role("button", name="Commit").click()
    expect(asked.get_by_role("status")).to_have_text('You expect "two"')
    traffic = lesson.get_by_role("group", name="Traffic to default/app1")
    traffic.get_by_label("Requests").fill("7")
    traffic.get_by_role("button", name="Send").click()
    expect(traffic.get_by_role("status")).to_contain_text("7 of 7 requests were answered")
    jupyter.save(lesson)
    jupyter.reopen(lesson, server, "00-the-lab.ipynb")
    expect(asked.get_by_role("status")).to_have_text('You expect "two"')
    asked.get_by_label("all three").check()
    asked.get_by_role("button", name="Commit").click()
    expect(asked.get_by_role("status")).to_have_text('You expect "all three"')
    jupyter.save(lesson)

    jupyter.shut_down_kernels(server)
    jupyter.load(lesson, server)
    jupyter.open_notebook(lesson, "00-the-lab.ipynb", kernel=False)
    still = lesson.locator(".jp-RenderedHTMLCommon section.labkit")
    mine = lesson.get_by_role("row", name="3 all three this one")
    expect(mine).to_be_visible()
    expect(still.filter(has_text="7 of 7")).to_be_visible()
    expect(still.filter(has_text="kube-apiserver").first).to_be_visible()
    expect(lesson.get_by_text("Loading widget")).to_have_count(0)
    expect(lesson.locator(".labkit-view")).to_have_count(0)
    lesson.set_viewport_size({"width": 1280, "height": 3000})
    for theme in (jupyter.LIGHT, jupyter.DARK):
        jupyter.set_theme(lesson, theme)
        for place, cell in enumerate(lesson.locator(".jp-CodeCell").all()):
            cell.screenshot(path=tmp_path / f"still-{theme}-{place}.png")
        colours = mine.evaluate(
            "one => [getComputedStyle(one).color,"
            " getComputedStyle(one.closest('.jp-Notebook')).backgroundColor]"
        )
        assert colours[0] != colours[1], theme

    jupyter.start_kernel(lesson)
    jupyter.run_all(lesson)
    traffic.get_by_role("button", name="Send").click()
    expect(traffic.get_by_role("status")).to_contain_text("10 of 10 requests were answered")


def test_hints_climb_to_the_solution_which_is_then_applied(opened: Opened, lab: labkit.Lab) -> None:
    lesson = opened("02-the-example-service")
    begin = jupyter.type_and_run(
        lesson,
        jupyter.cell_of(lesson, "labkit.lesson"),
        'import labkit\nlesson = labkit.lesson("02")\nlesson.reset()',
    )
    playwright.expect(begin).to_contain_text("Lesson 02-the-example-service, at its start")
    cell = jupyter.cell_of(lesson, "# lesson.hint()")
    for level, said in enumerate(
        [
            "Which one belongs to the pods?",
            "spec.ports.0.port is 8080",
            "leave targetPort at 8080",
            "nodePort: 30080",
        ],
        start=1,
    ):
        shown = jupyter.type_and_run(lesson, cell, "lesson.hint()")
        playwright.expect(shown).to_contain_text(f"Hint {level} of 4 for ports")
        playwright.expect(shown).to_contain_text(said)
    jupyter.type_and_run(lesson, cell, "lesson.solve()")
    shown = jupyter.type_and_run(
        lesson, jupyter.cell_of(lesson, "lesson.check()"), "lesson.check()"
    )
    playwright.expect(shown).to_contain_text("ports: pass")
    playwright.expect(shown).to_contain_text("outside: pass")
    assert progress.load().of("02-the-example-service").done


def test_a_fault_is_seen_named_and_undone(opened: Opened, lab: labkit.Lab) -> None:
    lesson = opened("10-break-it-and-mend-it")
    expect = playwright.expect
    first = jupyter.cell_of(lesson, "labkit.lesson")
    jupyter.type_and_run(
        lesson, first, 'import labkit\nlesson = labkit.lesson("10")\nlab = lesson.lab'
    )
    cell = jupyter.cell_of(lesson, "# your search")
    shown = jupyter.type_and_run(lesson, cell, 'lesson.fault("dead-redirect", node="node2")')
    expect(shown).to_contain_text("dead-redirect")
    request = 'labkit.Request("app1", sender="client", via="node-port", node="node2")'
    shown = jupyter.type_and_run(lesson, cell, f"lab.probe({request})")
    expect(shown).to_contain_text("0 of 1")
    shown = jupyter.type_and_run(
        lesson, cell, 'lesson.diagnose(node="node2", layer="proxy", cause="proxy-dead")'
    )
    for said in ("node: right", "cause: wrong", "repair: not yet"):
        expect(shown).to_contain_text(said)
    shown = jupyter.type_and_run(lesson, cell, "lesson.clear()")
    expect(shown).to_contain_text("dead-redirect")
    shown = jupyter.type_and_run(lesson, cell, f"lab.probe({request})")
    expect(shown).to_contain_text("1 of 1")
    assert faults.listing(lab).active is None


@pytest.mark.parametrize("name", ["03-the-four-chains", "reference"])
def test_it_can_be_read_in_any_theme_and_window(name: str, opened: Opened, tmp_path: Path) -> None:
    """Nothing is cut off: what is wider than the page can be scrolled to. Look at the pictures."""
    lesson = opened(name)
    jupyter.run_all(lesson)
    for theme in (jupyter.LIGHT, jupyter.DARK):
        jupyter.set_theme(lesson, theme)
        for width in (600, 1024, 1920):
            lesson.set_viewport_size({"width": width, "height": 3000})
            lesson.locator(".jp-Cell").first.evaluate("element => element.scrollIntoView()")
            lesson.screenshot(path=tmp_path / f"{name}-{theme}-{width}.png")
            assert cut_off(lesson) == [], (theme, width)
        written = lesson.locator(".jp-RenderedHTMLCommon, .labkit-view")
        for colours in written.evaluate_all(
            "all => all.map(one => [getComputedStyle(one).color,"
            " getComputedStyle(one.closest('.jp-Notebook')).backgroundColor])"
        ):
            assert colours[0] != colours[1], theme


def cut_off(lesson: playwright.Page) -> object:
    """The first words of whatever is wider than its place, and cannot be scrolled to."""
    return lesson.evaluate(
        """() => [...document.querySelectorAll(
            ".jp-RenderedMarkdown, .jp-RenderedHTMLCommon, .labkit-view, .labkit-shown, pre")]
            .filter(each => each.scrollWidth > each.clientWidth + 1
                && !["auto", "scroll"].includes(getComputedStyle(each).overflowX)
                && !each.closest(".labkit-shown, .jp-OutputArea-output"))
            .map(each => each.outerHTML.slice(0, 200))"""
    )
