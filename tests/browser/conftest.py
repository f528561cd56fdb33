"""A lab, JupyterLab and Chromium, shared by all tests in a browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api as playwright

import labkit
from tests.browser import jupyter

LAB = "browser"
#: A kernel's first answer takes seconds when the machine is loaded.
WAITS_MS = 30_000


@pytest.fixture(scope="package")
def browser_home() -> Iterator[Path]:
    """Labs and notebooks of the browser's tests. Its path is short, as a socket's has to be."""
    folder = Path(tempfile.mkdtemp(prefix="lk"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STATE_HOME", "RUNTIME_DIR"):
            (folder / name).mkdir(mode=0o700)
            patch.setenv(f"XDG_{name}", str(folder / name))
        patch.setenv("LABKIT_NAME", LAB)  # for a lesson, which opens the lab itself
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="package")
def lab(browser_home: Path) -> Iterator[labkit.Lab]:
    with labkit.open(LAB) as made:
        made.up()
        yield made
        made.down(purge=True)


@pytest.fixture(scope="package")
def server(browser_home: Path, lab: labkit.Lab) -> Iterator[jupyter.Jupyter]:
    folder = browser_home / "notebooks"
    folder.mkdir()
    with jupyter.running(folder) as made:
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[playwright.Browser]:
    """Debian's Chromium; Playwright's own cannot be had everywhere.

    While Playwright runs, so does its event loop: no test elsewhere could start one of its own.
    """
    program = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def jupyterlab(chromium: playwright.Browser, server: jupyter.Jupyter) -> Iterator[playwright.Page]:
    """JupyterLab, loaded once: that takes longer than most of what a test does there."""
    context = chromium.new_context(viewport=jupyter.VIEWPORT)
    context.set_default_timeout(WAITS_MS)
    playwright.expect.set_options(timeout=WAITS_MS)
    page = context.new_page()
    jupyter.load(page, server)
    yield page
    context.close()


@pytest.fixture
def page(jupyterlab: playwright.Page, server: jupyter.Jupyter) -> Iterator[playwright.Page]:
    """JupyterLab with nothing open, in its usual theme and window; no kernel runs."""
    yield jupyterlab
    jupyter.close_all(jupyterlab)
    jupyter.shut_down_kernels(server)
    jupyter.set_theme(jupyterlab, jupyter.LIGHT)
    jupyterlab.set_viewport_size(jupyter.VIEWPORT)
