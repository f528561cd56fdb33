"""`labkit lab`."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from labkit import errors, system
from labkit.cli import options, output, progress, session

#: No question about news, no look for updates: a room may have no internet. And a notebook is saved
#: with what its widgets show, so that it can be read when its kernel is gone.
_SETTINGS = Path(__file__).parents[1] / "lessons" / "jupyter"


@click.command()
@options.shared(progress=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Your own copies of the notebooks.  [default: ~/labkit]",
)
@click.option("--port", type=int, default=None, help="JupyterLab's.  [default: a free one]")
@click.option("--browser/--no-browser", default=True, help="Open one.")
@click.pass_obj
def command(current: session.Session, folder: Path | None, port: int | None, browser: bool) -> int:
    """Open the lessons in JupyterLab, on a lab that runs.

    \b
      labkit lab
      labkit lab --folder course --no-browser

    Brings the lab up, copies the notebooks that you do not have yet into your own folder, and
    opens the first one. What you have changed is never overwritten. The lab goes on when
    JupyterLab ends.
    """
    from labkit.lessons import workspace

    if importlib.util.find_spec("jupyterlab") is None:
        raise errors.NotSupported(
            "JupyterLab is not installed here",
            hint="pip install 'labkit[notebook]', or begin with `sh labkit/bootstrap.sh lab`",
        )
    target = (folder or workspace.default_folder()).expanduser().absolute()
    with current.lab() as lab:
        if lab.spec.provider == "netns":
            current.world.ensure_packages(current.agrees)
        with progress.watch(current.events, sys.stderr) as observer:
            lab.up(example=False, observer=observer, timeout_s=current.timeout_s)
        name = lab.spec.name
    output.note(repr(workspace.copy_notebooks(target)))
    argv = jupyter_argv(target, port=port, browser=browser)
    variables = [f"LABKIT_NAME={name}", *jupyter_variables(os.environ)]
    return current.world.become(["env", *variables, *argv])


def jupyter_variables(own: Mapping[str, str]) -> list[str]:
    """Where JupyterLab finds labkit's settings and its extension, besides the learner's own."""
    return [
        f"{name}={os.pathsep.join(filter(None, [str(_SETTINGS), own.get(name)]))}"
        for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH")
    ]


def jupyter_argv(folder: Path, *, port: int | None, browser: bool) -> list[str]:
    """The command that shows `folder` in JupyterLab, the first notebook in front."""
    first = min((path.name for path in folder.glob("[0-9]*.ipynb")), default="")
    return [
        sys.executable, "-m", "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{first}",
        f"--port={port or 0}",
        *([] if browser else ["--no-browser"]),
        *(["--allow-root"] if system.is_root() else []),
    ]  # fmt: skip
