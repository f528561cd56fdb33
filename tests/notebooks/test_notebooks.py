"""Every notebook, run from the first cell to the last on a real lab, without a click."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import labkit
from labkit import errors
from labkit.lessons import (
    catalogue,
    checks,
    grammar,
    lesson,
    progress,
    proving,
    results,
    scaffold,
    truths,
)
from labkit.model import portals

NOTEBOOKS = sorted(catalogue.folder().glob("*.ipynb"))
LESSONS = catalogue.entries()
CELL_LINES = 14


def read(path: Path) -> Any:
    """What nbformat finds to be a valid notebook."""
    import nbformat  # takes seconds: not for everybody who only collects tests

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_saved_notebook_is_stripped_and_has_stable_ids(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids)
    for cell in cells:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            assert cell["execution_count"] is None
            assert len(cell["source"]) <= CELL_LINES
    read(path)


def run(path: Path, folder: Path) -> Any:
    """Run all cells; an error in any of them fails the test."""
    import nbclient  # brings nbformat

    notebook = read(path)
    nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def texts(notebook: Any) -> list[str]:
    """What every cell showed, as text."""
    return [
        output.get("data", {}).get("text/plain") or output.get("text") or ""
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    ]


@pytest.mark.lab
@pytest.mark.timeout(300)
@pytest.mark.parametrize("entry", LESSONS, ids=lambda entry: entry.name)
def test_a_lesson_runs_and_its_checks_mean_something(
    entry: catalogue.Entry, lab: labkit.Lab, home: Path
) -> None:
    notebook = run(entry.notebook, home)
    failed = [
        output for cell in notebook.cells for output in cell.get("outputs", ())
        if output.output_type == "error"
    ]  # fmt: skip
    assert not failed
    file = entry.read()
    graded = [one for one in texts(notebook) if "You had not predicted anything." in one]
    assert len(graded) == len(file.questions)
    for question, said in zip(file.questions, graded, strict=True):
        names = question.truth in truths.NAMES
        asked = results.Question(
            entry.name, question.id, question.text, question.answers, "", names
        )
        known = [asked.say(value) for value, _ in question.answers]
        assert any(f"It was {answer}." in said for answer in known), said
    begun = lesson.start(entry.number, lab)
    before = begun.check(wait=False)
    assert not file.checks or not before.ok, "the unsolved lesson passes its own checks"
    assert all(one.state != "cannot tell" for one in before.checks)
    begun.solve()
    after = begun.check()
    assert after.ok, repr(after)
    assert progress.load().of(entry.name).done
    begun.reset()
    assert [one.state for one in begun.check(wait=False).checks] == [
        one.state for one in before.checks
    ]


def test_the_reference_needs_no_lab(tmp_path: Path) -> None:
    shown = " ".join(texts(run(catalogue.folder() / "reference.ipynb", tmp_path)))
    for chain in portals.CHAINS:
        assert chain.name in shown
    assert "connection tracking" in shown


@pytest.mark.lab
def test_a_new_lesson_is_proved_and_a_wrong_one_is_not(
    lab: labkit.Lab, home: Path, tmp_path: Path
) -> None:
    """What `labkit lessons new` writes is right already; with another solution it is not."""
    scaffold.create("12-mine", tmp_path)
    entry = catalogue.find("12", tmp_path)
    proof = proving.prove(entry, lab)
    assert proof.ok, repr(proof)
    assert entry.name not in progress.load().lessons, "an author's test is no learner's progress"
    toml = tmp_path / "12-mine.toml"
    toml.write_text(toml.read_text().replace("nodePort: 30080", "nodePort: 30081"))
    wrong = proving.prove(entry, lab)
    assert [one.claim for one in wrong.claims if not one.holds] == ["the solution passes"]


@pytest.mark.lab
def test_a_learners_own_object_is_put_aside_and_comes_back(lab: labkit.Lab, home: Path) -> None:
    lab.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mine"},
         "spec": {"selector": {"name": "app1"}, "ports": [{"port": 81, "targetPort": 8080}]}}
    )  # fmt: skip
    begun = lesson.start(LESSONS[0].number, lab)
    absent = grammar.AbsentCheck(id="mine", nudge="-", object="service/mine")
    assert checks.check(lab, absent).state == "pass"
    begun.restore()
    assert checks.check(lab, absent).state == "not yet"
    lab.delete("service", "mine")


@pytest.mark.lab
def test_hints_climb_from_a_nudge_to_the_solution(lab: labkit.Lab, home: Path) -> None:
    begun = lesson.start("02", lab)
    begun.reset()
    hints = [begun.hint() for _ in range(5)]
    assert [hint.level for hint in hints] == [1, 2, 3, 4, 4]
    assert "spec.ports.0.port is 8080" in hints[1].text
    assert any("nodePort: 30080" in line for line in hints[3].code)
    begun.solve()
    assert begun.hint().level == 0


@pytest.mark.lab
def test_a_prediction_is_kept_until_it_is_graded_and_then_for_good(
    lab: labkit.Lab, home: Path
) -> None:
    begun = lesson.start("02", lab)
    begun.reset()
    begun.predict("port-and-node-port", "none")
    begun.predict("port-and-node-port", "all")
    seen = lab.probe(labkit.Request("app1", sender="client", via="node-port"))
    assert begun.grade("port-and-node-port", seen).right
    assert begun.predict("port-and-node-port", "none").predicted == "all"
    with pytest.raises(errors.UsageError, match="no answer"):
        begun.predict("target-port", "maybe")
