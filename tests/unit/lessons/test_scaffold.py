"""A new lesson's two files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labkit import errors
from labkit.lessons import catalogue, scaffold, truths


def test_a_new_lesson_is_a_lesson(tmp_path: Path) -> None:
    done = scaffold.create("12-my-lesson", tmp_path)
    assert done.lines == ("wrote 12-my-lesson.toml", "wrote 12-my-lesson.ipynb")
    entry = catalogue.find("12", tmp_path)
    file = entry.read()
    assert file.title == "My lesson"
    assert file.checks
    assert all(question.truth in truths.TRUTHS for question in file.questions)
    notebook = json.loads(entry.notebook.read_text())
    import nbformat  # takes seconds: not for everybody who only collects tests

    nbformat.validate(nbformat.from_dict(notebook))  # type: ignore[no-untyped-call]
    assert 'labkit.lesson("12")' in "".join(notebook["cells"][1]["source"])


@pytest.mark.parametrize("name", ["my-lesson", "1-x", "12", "12-My", "12-", "../12-x"])
def test_what_is_no_name_for_a_lesson(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.UsageError, match="no name for a lesson"):
        scaffold.create(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_lesson_is_overwritten(tmp_path: Path) -> None:
    scaffold.create("12-my-lesson", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(errors.UsageError, match="a lesson 12 already: 12-my-lesson"):
        scaffold.create("12-another", tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="cannot hold a new lesson"):
        scaffold.create("12-my-lesson", tmp_path / "nowhere")
