"""The TOML of a lesson: what is wrong in it is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit import errors
from labkit.lessons import catalogue, checks, grammar, lesson, truths

GOOD = """\
title = "A lesson"
minutes = 10
goals = ["say it"]
checkpoint = "example"
[[check]]
id = "service"
kind = "object"
object = "service/app1"
nudge = "look"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "03-x.toml"
    path.write_text(text)
    return path


def test_a_lesson_is_read(tmp_path: Path) -> None:
    lesson = grammar.read(write(tmp_path, GOOD))
    assert lesson.checks == (
        grammar.ObjectCheck(id="service", nudge="look", object="service/app1"),
    )


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("title = [", "not TOML"),
        (GOOD.replace("minutes = 10", "minutes = 0"), r"\$\.minutes"),
        (GOOD.replace('"example"', '"else"'), r"\$\.checkpoint"),
        (GOOD.replace('kind = "object"', 'kind = "objekt"'), "objekt"),
        (GOOD.replace('object = "service/app1"\n', ""), r"\$\.check\[0\]"),
        (GOOD + "more = 1\n", "more"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, bad: str, said: str) -> None:
    with pytest.raises(errors.ConfigError, match=said) as refused:
        grammar.read(write(tmp_path, bad))
    assert "03-x.toml" in str(refused.value)


def test_a_lesson_may_ask_for_a_hidden_fault_to_be_found(tmp_path: Path) -> None:
    asked = GOOD.replace('kind = "object"\nobject = "service/app1"\n', 'kind = "fault"\n')
    file = grammar.read(write(tmp_path, asked + "[solution]\nfault = true\n"))
    assert file.checks == (grammar.FaultCheck(id="service", nudge="look"),)
    assert lesson.solution_lines(file.solution) == ["labkit fault clear"]


def test_a_lesson_that_is_not_there_suggests_one(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert catalogue.find("3", tmp_path).name == "03-x"
    with pytest.raises(errors.NothingMatched, match="no lesson '4'"):
        catalogue.find("4", tmp_path)


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_lesson_of_the_package_is_sound(entry: catalogue.Entry) -> None:
    lesson = entry.read()
    assert entry.notebook.exists()
    for question in lesson.questions:
        assert question.truth in truths.TRUTHS
        assert len({value for value, _ in question.answers}) == len(question.answers) >= 2
    assert len({one.id for one in lesson.checks}) == len(lesson.checks)
    assert all(one.within <= 5 for one in lesson.checks)
    assert not lesson.checks or lesson.solution != grammar.Solution()


def test_the_difference_between_an_object_and_what_is_wanted() -> None:
    obj = {"spec": {"ports": [{"port": 80}], "type": "NodePort"}}
    assert checks.plan_difference(obj, {"spec.type": "NodePort", "spec.ports.0.port": 80}) == ""
    said = checks.plan_difference(obj, {"spec.ports.1.port": 81, "spec.type": "ClusterIP"})
    assert said == "spec.ports.1.port is not set; spec.type is NodePort"
