"""A notebook on disk: widgets rest where no kernel runs, and wake when theirs still does."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import nbformat
from traitlets.config import configurable

from labkit.widgets import contents

MINE = {"model_id": "mine", "version_major": 2}


def notebook(*outputs: dict[str, Any], still: dict[str, str] | None = None) -> dict[str, Any]:
    states = {"mine": {"state": {"label": "Traffic", "still": still or {}}}}
    cell = {
        "cell_type": "code", "id": "one", "source": "", "metadata": {}, "execution_count": 1,
        "outputs": [
            {"output_type": "display_data", "metadata": {}, "data": data} for data in outputs
        ],
    }  # fmt: skip
    prose = {"cell_type": "markdown", "id": "two", "source": "#", "metadata": {}}
    metadata = {"widgets": {contents.STATES: {"state": states}}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": [prose, cell]}


def data_of(found: Any) -> Any:
    return found["cells"][1]["outputs"][0]["data"]


def widget() -> dict[str, Any]:
    return {contents.VIEW: dict(MINE), "text/plain": "first", "text/html": "<p>first</p>"}


def test_in_the_file_stands_what_was_seen_last() -> None:
    found = notebook(widget(), still={"text/plain": "last", "text/html": "<p>last</p>"})
    contents.rest(found, "k1")
    data = data_of(found)
    assert contents.VIEW not in data
    assert (data["text/plain"], data["text/html"]) == ("last", "<p>last</p>")
    nbformat.validate(nbformat.from_dict(found))  # type: ignore[no-untyped-call]


def test_of_a_widget_whose_state_is_not_known_the_first_look_stays() -> None:
    found = notebook(widget())
    del found["metadata"]["widgets"]
    contents.rest(found, "k1")
    assert data_of(found)["text/html"] == "<p>first</p>"
    assert contents.VIEW not in data_of(found)


def test_a_widget_that_could_not_be_read_stays_what_it_is() -> None:
    slider = {contents.VIEW: {"model_id": "other"}, "text/plain": "IntSlider(value=0)"}
    found = notebook(slider)
    contents.rest(found, "k1")
    assert data_of(found) == slider


def test_it_wakes_for_its_own_kernel_and_for_no_other() -> None:
    for saved, running, wakes in (("k1", "k1", True), ("k1", "k2", False), ("", "", False)):
        found = notebook(widget())
        contents.rest(found, saved)
        resting = copy.deepcopy(found)
        contents.wake(found, running)
        assert data_of(found).get(contents.VIEW, {}).get("model_id") == ("mine" if wakes else None)
        assert wakes or found == resting


class Server(configurable.Configurable):
    """A server with these notebooks and their kernels."""

    def __init__(self, kernels: dict[str, str | None]) -> None:
        super().__init__()
        self.kernels = kernels
        self.session_manager = self

    async def list_sessions(self) -> list[dict[str, Any]]:
        return [
            {"path": path, "kernel": {"id": kernel} if kernel else None}
            for path, kernel in self.kernels.items()
        ]


def test_saved_and_opened_as_a_server_does_it(tmp_path: Path) -> None:
    asyncio.run(_save_and_open(tmp_path))


async def _save_and_open(folder: Path) -> None:
    server = Server({"a.ipynb": "k1", "b.ipynb": None})
    manager = contents.Contents(root_dir=str(folder), parent=server)
    for name in ("a.ipynb", "b.ipynb"):
        await manager.save({"type": "notebook", "content": notebook(widget())}, name)
        assert contents.VIEW not in data_of(json.loads((folder / name).read_text()))
    assert contents.VIEW in data_of((await manager.get("/a.ipynb"))["content"])
    assert contents.VIEW not in data_of((await manager.get("b.ipynb"))["content"])
    server.kernels.clear()
    assert contents.VIEW not in data_of((await manager.get("a.ipynb"))["content"])
    assert (await manager.get("a.ipynb", content=False))["content"] is None
    await manager.save({"type": "file", "format": "text", "content": "hello"}, "c.txt")
    assert (await manager.get("c.txt"))["content"] == "hello"
    assert {one["name"] for one in (await manager.get(""))["content"]} >= {"a.ipynb", "c.txt"}
