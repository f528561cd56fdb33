"""The learner's own copies: never overwritten, and never left out of date for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit import errors
from labkit.lessons import workspace


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    for name in ("00-lab", "01-pods"):
        (folder / f"{name}.ipynb").write_text(f"{name} v1")
        (folder / f"{name}.toml").write_text("")
    return folder


def test_what_is_missing_is_copied_and_the_rest_left_alone(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert len(workspace.copy_notebooks(mine, source).lines) == 2
    assert workspace.copy_notebooks(mine, source).lines == ()


def test_a_changed_copy_is_never_overwritten(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    workspace.copy_notebooks(mine, source)
    (mine / "00-lab.ipynb").write_text("my work")
    (source / "00-lab.ipynb").write_text("00-lab v2")
    (source / "01-pods.ipynb").write_text("01-pods v2")
    said = workspace.copy_notebooks(mine, source).lines
    assert (mine / "00-lab.ipynb").read_text() == "my work"
    assert (mine / "01-pods.ipynb").read_text() == "01-pods v2"
    assert said == ("00-lab.ipynb is yours and stays as it is", "copied 01-pods.ipynb")


def test_without_its_list_every_copy_counts_as_the_learners(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    workspace.copy_notebooks(mine, source)
    (mine / ".labkit-notebooks.json").write_text("spoilt")
    (source / "00-lab.ipynb").write_text("00-lab v2")
    workspace.copy_notebooks(mine, source)
    assert (mine / "00-lab.ipynb").read_text() == "00-lab v1"


def test_a_fresh_copy_keeps_the_learners_under_another_name(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    workspace.copy_notebooks(mine, source)
    (mine / "01-pods.ipynb").write_text("my work")
    workspace.renew("1", mine, source)
    assert (mine / "01-pods.ipynb").read_text() == "01-pods v1"
    assert (mine / "01-pods.mine-1.ipynb").read_text() == "my work"


def test_a_folder_that_cannot_be_is_refused_in_words(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.ConfigError, match="cannot hold the notebooks") as refused:
        workspace.copy_notebooks(tmp_path / "file", source)
    assert "--folder" in refused.value.hint
