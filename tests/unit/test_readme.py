"""What the README promises is what there is: verbs, ids with their statuses, the lab file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labkit import errors, labfile, paths
from labkit.cli import app, failures
from labkit.lessons import catalogue
from labkit.model import example, portals, spec

README = (Path(__file__).parents[2] / "README.md").read_text()


def documented() -> dict[str, int]:
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", README, re.MULTILINE)
    return {id_: int(status) for status, ids in rows for id_ in re.findall(r"LK-[A-Z-]+", ids)}


def test_every_error_is_documented_with_its_exit_status() -> None:
    assert documented() == dict(failures.ids())
    assert errors.TimedOut.id in documented()


def test_every_exit_status_is_documented() -> None:
    said = re.findall(r"^\| (\d+) \| (.*?) \|", README, re.MULTILINE)
    assert {int(status): meaning for status, meaning in said} == failures.STATUSES


@pytest.mark.parametrize("verb", app.SUMMARIES)
def test_every_verb_is_in_the_table(verb: str) -> None:
    table = README.partition("## Commands")[2].partition("## The lab file")[0]
    first_column = "".join(re.findall(r"^\| (.*?) \| ", table, re.MULTILINE))
    assert re.search(rf"`{verb}\b", first_column)


def test_the_lab_file_shown_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / paths.LAB_FILE
    path.write_text(README.partition("```toml\n")[2].partition("```")[0])
    assert labfile.load(path) == spec.plan(proxy=spec.ProxySpec(flags={"udp-timeout": "250ms"}))


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_lesson_is_in_the_table(entry: catalogue.Entry) -> None:
    lesson = entry.read()
    assert f"| `{entry.number}` | {lesson.title} | {lesson.minutes} min |" in README


def test_every_notebook_is_in_the_table() -> None:
    for path in catalogue.folder().glob("*.ipynb"):
        name = path.stem[:2] if path.stem[0].isdigit() else path.stem
        assert f"| `{name}` |" in README


def test_machines_and_example_are_the_real_ones() -> None:
    for node in spec.plan().nodes:
        assert f"| `{node.name}` | {node.address} |" in README
    port = example.SERVICE["spec"]["ports"][0]
    text = ", ".join(f"{key}: {value}" for key, value in port.items())
    assert f"ports: [{{{text}}}]" in README


def test_the_ways_in_name_real_chains() -> None:
    table = README.partition("## Five ways")[2].partition("```mermaid")[0]
    for name, hook in re.findall(r"`(KUBE-[A-Z-]+)` \| ([A-Z]+) \|", table):
        chain = portals.chain(name)
        assert chain is not None
        assert chain.hook == hook
