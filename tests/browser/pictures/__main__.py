"""`python -m tests.browser.pictures`: photograph a lesson and the widgets, on a real lab."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from playwright import sync_api as playwright

import labkit
from labkit.lessons import workspace
from tests.browser import jupyter

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
CELLS = [
    "import labkit\nfrom labkit import widgets\nlab = labkit.open('pictures')",
    "widgets.Chains(lab)",
    "widgets.Traffic(lab)",
    "widgets.Player(lab)",
]
CHAINS, TRAFFIC, PLAYER = range(3)
#: A pod's answer comes in milliseconds, a kernel's first one in seconds.
WAITS_MS = 60_000
#: Above a heading, in pixels.
MARGIN = 12


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="lk") as folder:
        for name in ("STATE_HOME", "RUNTIME_DIR"):
            Path(folder, name).mkdir(mode=0o700)
            os.environ[f"XDG_{name}"] = f"{folder}/{name}"
        os.environ["LABKIT_NAME"] = "pictures"  # for a lesson, which opens the lab itself
        os.chdir(folder)
        with labkit.open("pictures") as lab:
            lab.up()
            try:
                photograph(Path(folder, "notebooks"))
            finally:
                lab.down(purge=True)


def photograph(folder: Path) -> None:
    """Run a notebook of widgets, use them as a learner would, and keep what is seen."""
    folder.mkdir()
    jupyter.write_notebook(folder, "pictures.ipynb", CELLS)
    with jupyter.running(folder) as server, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1100, "height": 1500})
        page.set_default_timeout(WAITS_MS)
        playwright.expect.set_options(timeout=WAITS_MS)
        jupyter.reopen(page, server, "pictures.ipynb")
        jupyter.run_all(page)
        views = page.locator(".labkit-view")
        playwright.expect(views).to_have_count(3)
        keep_chains(views.nth(CHAINS), views.nth(TRAFFIC))
        keep_trace(views.nth(PLAYER))
        jupyter.set_theme(page, jupyter.DARK)
        views.nth(PLAYER).screenshot(path=HERE / "trace-dark.png")
        jupyter.set_theme(page, jupyter.LIGHT)
        keep_lesson(page, server)
        jupyter.shut_down_kernels(server)
        browser.close()


def keep_chains(chains: playwright.Locator, traffic: playwright.Locator) -> None:
    playwright.expect(chains.locator("summary").first).to_be_visible()
    traffic.get_by_role("button", name="Send").click()
    playwright.expect(traffic.get_by_role("status")).to_contain_text("were answered")
    chains.get_by_role("button", name="Look").click()
    playwright.expect(chains.get_by_role("status")).to_contain_text("moved, on")
    moved = chains.locator("details", has=chains.page.locator(".labkit-moved")).first
    moved.locator("summary").click()
    chains.screenshot(path=HERE / "chains.png")


def keep_trace(player: playwright.Locator) -> None:
    player.get_by_role("button", name="Trace").click()
    playwright.expect(player.locator("p[role=status]")).to_contain_text("answered, in")
    player.get_by_role("button", name="Next").click()
    player.screenshot(path=HERE / "trace.png")


def keep_lesson(page: playwright.Page, server: jupyter.Jupyter) -> None:
    """A prediction that is wrong, and what really happened."""
    workspace.copy_notebooks(server.folder)
    jupyter.reopen(page, server, "03-the-four-chains.ipynb")
    jupyter.run_all(page)
    asked = page.locator(".labkit-view", has_text="A program on node1 asks").first
    asked.get_by_label("KUBE-PORTALS-CONTAINER").check()
    asked.get_by_role("button", name="Commit").click()
    playwright.expect(asked.get_by_role("status")).to_contain_text("You expect")
    graded = page.locator(".jp-Cell", has_text="You predicted KUBE-PORTALS-CONTAINER")
    jupyter.run_all(page)
    playwright.expect(graded.first).to_be_visible()
    page.mouse.move(0, 0)
    heading = page.get_by_role("heading", name="Predict", exact=True)
    heading.evaluate("element => element.scrollIntoView({block: 'center'})")
    top, bottom = heading.bounding_box(), graded.first.bounding_box()
    assert top
    assert bottom
    start = top["y"] - MARGIN
    height = bottom["y"] + bottom["height"] - start
    clip = playwright.FloatRect(x=bottom["x"], y=start, width=bottom["width"], height=height)
    page.screenshot(path=HERE / "lesson.png", clip=clip)


if __name__ == "__main__":
    main()
