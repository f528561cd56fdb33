"""lessons, lab."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from labkit.cli import lab
from labkit.lessons import catalogue, progress, proving, results
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld


def test_without_a_word_all_lessons_are_listed(run: Run) -> None:
    with progress.changing() as kept:
        kept.of("02-the-example-service").done = progress.now()
    listed = json.loads(run("lessons", "-o", "json").stdout)
    assert listed["schema"] == "labkit.dev/lessons"
    states = {one["name"]: one["state"] for one in listed["lessons"]}
    assert list(states) == [entry.name for entry in catalogue.entries()]
    assert states.pop("02-the-example-service") == "done"
    assert set(states.values()) == {"not begun"}
    assert "The four chains" in run("lessons").stdout


@pytest.mark.parametrize("action", ["start", "check", "hint", "solve", "reset", "goto"])
def test_what_is_about_one_lesson_says_so(run: Run, action: str) -> None:
    done = run("lessons", action)
    assert done.exit_code == 2
    assert "needs a lesson" in done.stderr
    assert "`labkit lessons` lists them" in done.stderr


@pytest.mark.parametrize("action", ["list", "progress", "restore"])
def test_what_is_about_all_lessons_takes_none(run: Run, action: str) -> None:
    done = run("lessons", action, "02")
    assert done.exit_code == 2
    assert "takes none" in done.stderr


def test_new_writes_a_lesson(run: Run, tmp_path: Path) -> None:
    done = run("lessons", "new", "12-mine", "--folder", str(tmp_path))
    assert done.exit_code == 0
    assert "wrote 12-mine.toml" in done.stdout
    assert run("lessons", "new", "12-mine", "--folder", str(tmp_path)).exit_code == 2
    assert "needs a name" in run("lessons", "new").stderr


def test_many_lessons_tested_are_one_document(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def prove(entry: catalogue.Entry, _: object) -> results.Proof:
        holds = entry.number != "02"
        return results.Proof(entry.name, (results.Proven("the solution passes", holds, "no"),))

    monkeypatch.setattr(proving, "prove", prove)
    done = run("lessons", "test", "-o", "json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["schema"] == "labkit.dev/lesson-proofs"
    assert [one["lesson"] for one in told["proofs"]] == [e.name for e in catalogue.entries()]
    assert run("lessons", "test", "03").exit_code == 0


def test_a_lesson_that_is_not_there(run: Run) -> None:
    done = run("lessons", "check", "2-the-example-servise")
    assert done.exit_code == 4
    assert "02-the-example-service" in done.stderr


def test_lab_brings_it_up_copies_the_notebooks_and_becomes_jupyterlab(
    run: Run, world: FakeWorld, tmp_path: Path
) -> None:
    done = run("lab", "--folder", str(tmp_path / "mine"), "--no-browser", "--port", "8899")
    assert done.exit_code == 7  # what JupyterLab ended with
    assert "copied 00-the-lab.ipynb" in done.stderr
    assert "copied reference.ipynb" in done.stderr
    argv = world.became
    assert argv[:2] == ["env", "LABKIT_NAME=lab"]
    assert argv[4:7] == [sys.executable, "-m", "jupyterlab"]
    settings = Path(argv[2].removeprefix("JUPYTER_CONFIG_PATH="))
    assert "announcements" in (settings / "labconfig" / "page_config.json").read_text()
    overrides = settings / "labconfig" / "default_setting_overrides.json"
    assert "saveState" in overrides.read_text()
    server = json.loads((settings / "jupyter_server_config.json").read_text())["ServerApp"]
    module, _, name = server["contents_manager_class"].rpartition(".")
    assert hasattr(importlib.import_module(module), name)
    extension = Path(argv[3].removeprefix("JUPYTER_PATH=")) / "labextensions" / "labkit"
    package = json.loads((extension / "package.json").read_text())
    assert (extension / package["jupyterlab"]["_build"]["load"]).is_file()
    assert f"--ServerApp.root_dir={tmp_path / 'mine'}" in argv
    assert "--LabApp.default_url=/lab/tree/00-the-lab.ipynb" in argv
    assert {"--port=8899", "--no-browser"} <= set(argv)


def test_a_learners_own_settings_of_jupyter_come_after_those_of_labkit() -> None:
    config, path = lab.jupyter_variables({"JUPYTER_PATH": "/home/me/jupyter"})
    assert os.pathsep not in config
    assert path.endswith(f"{os.pathsep}/home/me/jupyter")


def test_lab_without_jupyterlab_says_how_to_get_it(
    run: Run, world: FakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    done = run("lab", "--folder", str(tmp_path / "mine"))
    assert done.exit_code == 5
    assert "labkit[notebook]" in done.stderr
    assert not (tmp_path / "mine").exists()
    assert not world.lab.asked


def test_a_folder_that_cannot_hold_notebooks(run: Run, world: FakeWorld, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = run("lab", "--folder", str(tmp_path / "file" / "in"))
    assert done.exit_code == 2
    assert "cannot hold the notebooks" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"
