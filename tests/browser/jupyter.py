"""JupyterLab in a process of its own, and notebooks for it to open."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright import sync_api as playwright

from labkit.cli import lab

#: JupyterLab imports a lot before it listens; a loaded machine takes its time.
STARTS_S = 90
_SAYS_WHERE = "is running at:"
#: A learner's own settings would change what the tests see.
_OWN_FOLDERS = ("DATA_DIR", "CONFIG_DIR", "RUNTIME_DIR")
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
VIEWPORT = playwright.ViewportSize(width=1280, height=900)
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@dataclass(frozen=True)
class Jupyter:
    """A server and the folder that it shows."""

    url: str
    token: str
    folder: Path

    def is_up(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}api", timeout=5):
            return True
        return False


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Jupyter]:
    """JupyterLab on loopback, showing `folder`, until the block ends."""
    token = "of-the-test"
    settings = folder / ".settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text(f'{{"theme": "{LIGHT}"}}')
    argv = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser",
        "--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}", f"--LabApp.user_settings_dir={folder / '.settings'}",
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]  # fmt: skip
    own = {f"JUPYTER_{name}": str(folder / ".jupyter" / name) for name in _OWN_FOLDERS}
    labkits = dict(line.split("=", 1) for line in lab.jupyter_variables({}))
    environ = {**os.environ, **own, **labkits}
    with subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Jupyter(_address(process), token, folder)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    """Read where it listens from what it says, and leave a thread to read the rest."""
    assert process.stderr
    said: list[str] = []
    told = False
    for line in process.stderr:
        said.append(line)
        if told and "http://127.0.0.1" in line:
            _drain(process)
            return line[line.index("http") :].partition("lab?")[0]
        told = told or _SAYS_WHERE in line
    raise AssertionError("JupyterLab did not start:\n" + "".join(said))


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stderr
    threading.Thread(target=process.stderr.read, daemon=True).start()


def write_notebook(folder: Path, name: str, cells: Sequence[str]) -> Path:
    """A notebook of code cells."""
    made: list[dict[str, object]] = [
        {
            "cell_type": "code", "id": f"cell-{number}", "source": cell,
            "metadata": {}, "outputs": [], "execution_count": None,
        }
        for number, cell in enumerate(cells)
    ]  # fmt: skip
    notebook = {
        "nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": _KERNEL}, "cells": made,
    }  # fmt: skip
    path = folder / name
    path.write_text(json.dumps(notebook))
    return path


def load(page: playwright.Page, server: Jupyter, path: str = "") -> None:
    """JupyterLab anew, as when a person presses reload; with nothing open, or at a path."""
    page.goto(f"{server.url}lab{path}?token={server.token}&reset")
    page.wait_for_function("window.jupyterapp?.restored")
    page.evaluate("window.jupyterapp.restored")


def reopen(page: playwright.Page, server: Jupyter, name: str) -> None:
    """The notebook on a page that is loaded anew."""
    load(page, server, f"/tree/{name}")
    page.wait_for_selector(".jp-Notebook")
    # Run before its kernel is there, JupyterLab would ask which kernel it shall be.
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")


def open_notebook(page: playwright.Page, name: str, *, kernel: bool = True) -> None:
    """Open it on the page that is there, and wait for its kernel; without, none is started."""
    page.evaluate(
        """async ([path, shouldStart]) => {
            const opened = await window.jupyterapp.commands.execute(
                "docmanager:open", {path, kernelPreference: {shouldStart}});
            await opened.context.ready;
            if (shouldStart) await opened.sessionContext.ready;
        }""",
        [name, kernel],
    )
    page.wait_for_selector(".jp-Notebook")


def close_all(page: playwright.Page) -> None:
    """Close what is open, saved or not."""
    page.evaluate("[...window.jupyterapp.shell.widgets('main')].forEach(each => each.dispose())")


def start_kernel(page: playwright.Page) -> None:
    """One for the notebook in front, as the kernel's menu does."""
    page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext"
        ".changeKernel({name: 'python3'}).then(() => null)"
    )


def run_all(page: playwright.Page) -> None:
    """Run every cell, and wait until the last of them has been run."""
    run_command(page, "notebook:run-all-cells")


def run_command(page: playwright.Page, command: str) -> None:
    page.evaluate("command => window.jupyterapp.commands.execute(command)", command)


def save(page: playwright.Page) -> None:
    run_command(page, "docmanager:save")


def set_theme(page: playwright.Page, theme: str) -> None:
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
    )
    page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")


def shut_down_kernels(server: Jupyter) -> None:
    """End every kernel of the server: each keeps connections to the lab's machines."""
    for kernel in json.loads(_ask(server, "GET", "api/kernels")):
        _ask(server, "DELETE", f"api/kernels/{kernel['id']}")


def _ask(server: Jupyter, method: str, path: str) -> bytes:
    headers = {"Authorization": f"token {server.token}"}
    request = urllib.request.Request(server.url + path, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


def cell_of(page: playwright.Page, text: str) -> playwright.Locator:
    """The first code cell whose source holds `text`, by its place: the text may change."""
    cells = page.locator(".jp-CodeCell")
    playwright.expect(cells.filter(has_text=text).first).to_be_attached()
    sources = cells.locator(".jp-InputArea-editor").all_text_contents()
    return cells.nth(next(place for place, source in enumerate(sources) if text in source))


def type_and_run(page: playwright.Page, cell: playwright.Locator, text: str) -> playwright.Locator:
    """Replace what stands in a cell, as a person does, and run it where it is: its output."""
    before = cell.locator(".jp-InputPrompt").inner_text()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Control+Enter")
    prompt = cell.locator(".jp-InputPrompt")
    playwright.expect(prompt).not_to_have_text(before)
    playwright.expect(prompt).to_have_text(re.compile(r"\[\d+\]:"))
    return cell.locator(".jp-Cell-outputArea")


def restart_kernel(page: playwright.Page) -> None:
    """Restart it, as the menu does, and agree when it asks."""
    page.evaluate("void window.jupyterapp.commands.execute('notebook:restart-kernel')")
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
