"""The widgets as a person uses them: pressed, typed into, reopened, in any theme and window."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright import sync_api as playwright

import labkit
from labkit.model import example
from tests.browser import jupyter

pytestmark = [pytest.mark.browser, pytest.mark.lab, pytest.mark.timeout(600)]

CELLS = [
    "import labkit\nfrom labkit import widgets\nlab = labkit.open('browser')",
    "widgets.StateBar(lab)",
    "widgets.Chains(lab)",
    "widgets.Traffic(lab)",
    "widgets.ServiceForm(lab)",
    "widgets.Player(lab)",
]
STATE, CHAINS, TRAFFIC, FORM, PLAYER = range(5)


@pytest.fixture
def notebook(
    page: playwright.Page, server: jupyter.Jupyter, lab: labkit.Lab, request: pytest.FixtureRequest
) -> playwright.Page:
    """A notebook with every widget, run from the first cell to the last."""
    lab.apply(example.SERVICE)
    name = f"{request.node.name.partition('[')[0]}.ipynb"
    jupyter.write_notebook(server.folder, name, CELLS)
    jupyter.open_notebook(page, name)
    jupyter.run_all(page)
    playwright.expect(page.locator(".labkit-view")).to_have_count(5)
    return page


def node_port(lab: labkit.Lab) -> int:
    """What the Service has now."""
    [found] = lab.get("services", "app1").objects
    return int(found["spec"]["ports"][0]["nodePort"])


def view(page: playwright.Page, which: int) -> playwright.Locator:
    return page.locator(".labkit-view").nth(which)


def test_the_state_bar_shows_every_machine(notebook: playwright.Page, lab: labkit.Lab) -> None:
    bar = view(notebook, STATE)
    playwright.expect(bar.get_by_role("status")).to_have_text("browser is running")
    for node in lab.spec.nodes:
        playwright.expect(bar).to_contain_text(node.name)


def test_what_answered_is_drawn_and_the_rules_that_moved_are_marked(
    notebook: playwright.Page,
) -> None:
    chains, traffic = view(notebook, CHAINS), view(notebook, TRAFFIC)
    playwright.expect(chains.locator("summary").first).to_be_visible()
    traffic.get_by_label("Requests").fill("6")
    traffic.get_by_role("button", name="Send").click()
    playwright.expect(traffic.get_by_role("status")).to_contain_text(
        "6 of 6 requests were answered"
    )
    counts = traffic.locator("svg desc").text_content() or ""
    assert sum(map(int, re.findall(r": (\d+)", counts))) == 6
    chains.get_by_role("button", name="Look").click()
    playwright.expect(chains.get_by_role("status")).to_contain_text("moved, on")
    marked = chains.locator("details", has=notebook.locator(".labkit-moved"))
    marked.first.locator("summary").click()
    playwright.expect(marked.first.locator(".labkit-words")).to_contain_text("made by")
    playwright.expect(marked.first.locator("pre")).to_contain_text("-A KUBE-")


def test_the_form_by_keyboard_changes_the_service(
    notebook: playwright.Page, lab: labkit.Lab
) -> None:
    form = view(notebook, FORM)
    form.get_by_role("spinbutton", name="nodePort").focus()
    notebook.keyboard.press("Control+a")
    notebook.keyboard.type("30063")
    notebook.keyboard.press("Tab")
    playwright.expect(form.locator("pre").first).to_contain_text("nodePort: 30063")
    form.get_by_role("button", name="Apply").focus()
    notebook.keyboard.press("Enter")
    playwright.expect(form.get_by_role("status")).to_contain_text("app1")
    playwright.expect(form.get_by_role("status")).not_to_contain_text("applying")
    assert node_port(lab) == 30063


def test_a_request_is_played_hop_by_hop_by_keyboard(notebook: playwright.Page) -> None:
    player = view(notebook, PLAYER)
    player.get_by_role("button", name="Trace").click()
    playwright.expect(player.locator("p[role=status]")).to_contain_text("answered, in")
    shown = player.locator("section[data-step]:visible")
    playwright.expect(shown).to_contain_text("sends from")
    player.get_by_role("button", name="Next").click()
    playwright.expect(shown).to_contain_text("the first packet comes by eth0")
    playwright.expect(shown).to_contain_text("KUBE-NODEPORT-CONTAINER")
    playwright.expect(player.locator("g[data-now]")).to_have_attribute("data-mark", "1")
    player.get_by_role("button", name="Next").press("Enter")
    playwright.expect(player.locator("g[data-now]")).to_have_attribute("data-mark", "2")
    last = player.locator("section[data-step]").count() - 1
    slider = player.get_by_role("slider")
    slider.press("ArrowRight")
    playwright.expect(player.locator("g[data-now]")).to_have_attribute("data-mark", "3")
    slider.press("ArrowDown")
    playwright.expect(player.locator("g[data-now]")).to_have_attribute("data-mark", "2")
    slider.press("End")
    playwright.expect(player.locator("g[data-now]")).to_have_attribute("data-mark", str(last))
    playwright.expect(shown).to_contain_text("has the answer")


def test_keys_in_a_widget_are_the_widgets_own(notebook: playwright.Page) -> None:
    """JupyterLab would delete the cell at `d` twice, and take arrows for its own cursor."""
    live = view(notebook, CHAINS).get_by_label("every second")
    live.focus()
    cells = notebook.locator(".jp-Notebook-cell").count()
    for key in ("d", "d", "ArrowDown", "x"):
        notebook.keyboard.press(key)
    playwright.expect(live).to_be_focused()
    assert notebook.locator(".jp-Notebook-cell").count() == cells
    notebook.keyboard.press("Space")
    playwright.expect(live).to_be_checked()
    notebook.keyboard.press("Space")


def test_what_cannot_be_is_refused_in_words(notebook: playwright.Page, lab: labkit.Lab) -> None:
    form = view(notebook, FORM)
    form.get_by_role("spinbutton", name="nodePort").fill("80")
    form.get_by_role("button", name="Apply").click()
    playwright.expect(form.get_by_role("alert")).to_contain_text("30000")
    assert node_port(lab) == 30062


def test_reopened_it_is_live_with_its_kernel_and_readable_without(
    notebook: playwright.Page, server: jupyter.Jupyter
) -> None:
    """Also where the kernel was begun anew meanwhile: then the widget says that it is not known."""
    name = "test_reopened_it_is_live_with_its_kernel_and_readable_without.ipynb"
    expect = playwright.expect
    traffic, said = view(notebook, TRAFFIC), "{0} of {0} requests were answered"
    send = traffic.get_by_role("button", name="Send")
    traffic.get_by_label("Requests").fill("7")
    send.click()
    expect(traffic.get_by_role("status")).to_contain_text(said.format(7))
    jupyter.save(notebook)
    jupyter.reopen(notebook, server, name)
    expect(traffic.get_by_role("status")).to_contain_text(said.format(7))
    send.click()
    expect(traffic.get_by_role("status")).to_contain_text(said.format(10))
    jupyter.save(notebook)

    jupyter.restart_kernel(notebook)
    jupyter.reopen(notebook, server, name)
    expect(traffic.get_by_role("status")).to_contain_text(said.format(10))
    send.click()
    expect(traffic.get_by_role("status")).to_contain_text("run this cell again")
    jupyter.save(notebook)

    jupyter.shut_down_kernels(server)
    jupyter.load(notebook, server)
    jupyter.open_notebook(notebook, name, kernel=False)
    still = notebook.locator(".jp-RenderedHTMLCommon section.labkit")
    expect(still.filter(has_text="10 of 10")).to_be_visible()
    expect(still.filter(has_text="KUBE-PORTALS-CONTAINER").first).to_be_visible()
    expect(notebook.get_by_text("Loading widget")).to_have_count(0)


def test_nothing_sticks_out_in_any_theme_or_window(
    notebook: playwright.Page, tmp_path: Path
) -> None:
    for theme in (jupyter.LIGHT, jupyter.DARK):
        jupyter.set_theme(notebook, theme)
        for width in (600, 1024, 1920):
            notebook.set_viewport_size({"width": width, "height": 1400})
            notebook.screenshot(path=tmp_path / f"{theme}-{width}.png")
            for which in (STATE, CHAINS, TRAFFIC, FORM, PLAYER):
                box = view(notebook, which)
                assert box.evaluate("element => element.scrollWidth <= element.clientWidth + 1")
                colours = box.evaluate(
                    "element => [getComputedStyle(element).color,"
                    " getComputedStyle(element.closest('.jp-Notebook')).backgroundColor]"
                )
                assert colours[0] != colours[1]
