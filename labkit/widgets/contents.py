"""Notebooks as they lie on disk: what a widget showed last, for where no kernel runs.

A widget in a notebook is the name of a thing in a kernel. JupyterLab prefers that to the HTML
beside it, and where no kernel runs it says "Loading widget..." for good. So in the file a widget
rests: its name is kept under a type that no viewer knows, and the HTML is seen everywhere. Opened
while the same kernel still runs, it wakes, and is as live as before.

JupyterLab saves the state of each widget in the notebook, and `View.still` is part of it: from
there comes what was seen last. `labkit lab` starts JupyterLab with both (lessons/jupyter).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyter_server.services.contents import largefilemanager

VIEW = "application/vnd.jupyter.widget-view+json"
STATES = "application/vnd.jupyter.widget-state+json"
RESTING = "application/vnd.labkit.widget-view+json"


class Contents(largefilemanager.AsyncLargeFileManager):
    """The folder of notebooks, in which widgets rest."""

    async def save(self, model: Any, path: str = "") -> Any:
        if model.get("type") == "notebook" and model.get("content"):
            rest(model["content"], await self._kernel_of(path))
        return await super().save(model, path)  # type: ignore[no-untyped-call]

    async def get(self, path: str, *arguments: Any, **options: Any) -> Any:
        model = await super().get(path, *arguments, **options)  # type: ignore[no-untyped-call]
        if model["type"] == "notebook" and model["content"]:
            wake(model["content"], await self._kernel_of(path))
        return model

    async def _kernel_of(self, path: str) -> str:
        """The id of the kernel that runs for this notebook; empty: none does."""
        server: Any = self.parent
        for session in await server.session_manager.list_sessions():
            if session["path"] == path.strip("/") and session["kernel"]:
                return str(session["kernel"]["id"])
        return ""


def rest(notebook: Any, kernel: str) -> None:
    """Let what can be read stand in a widget's place, as it was seen last.

    Only widgets that brought HTML along can be read; others stay as they are.
    """
    states = notebook["metadata"].get("widgets", {}).get(STATES, {}).get("state", {})
    for data in _outputs(notebook):
        if VIEW in data and "text/html" in data:
            view = data.pop(VIEW)
            last = states.get(view["model_id"], {}).get("state", {}).get("still", {})
            data |= {**last, RESTING: {**view, "kernel": kernel}}


def wake(notebook: Any, kernel: str) -> None:
    """Make widgets live again whose kernel is this one."""
    for data in _outputs(notebook):
        if kernel and data.get(RESTING, {}).get("kernel") == kernel:
            data[VIEW] = data.pop(RESTING)


def _outputs(notebook: Any) -> Iterator[dict[str, Any]]:
    """Each output's forms, by their types."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if "data" in output:
                yield output["data"]
