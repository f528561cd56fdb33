"""`labkit box`: what it prints, refuses, and asks before it builds."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from labkit import errors, paths
from labkit.boxes import catalogue, recipe, store, tools
from labkit.preflight import packages
from tests.unit.cli.conftest import Run


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> catalogue.Box:
    """One that is kept, for this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(store, "architecture", lambda: "amd64")
    now = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    kept = catalogue.new(recipe.plan(), now)
    paths.ensure_file(store.folder() / kept.file, "a box")
    paths.ensure_file(store.folder() / kept.file.replace(".box", ".sha256"), "0" * 64)
    return store.boxes()[0]


def test_it_lists_what_is_kept(run: Run, box: catalogue.Box) -> None:
    assert box.version in run("box", "list").stdout
    said = json.loads(run("box", "list", "-o", "json").stdout)
    assert [each["file"] for each in said["items"]] == [box.file]
    assert run("box", "list", "-o", "name").stdout == f"{store.folder() / box.file}\n"


def test_what_is_there_is_not_built_again(run: Run, box: catalogue.Box) -> None:
    result = run("box", "build")
    assert result.exit_code == 0
    assert box.digest in result.stdout


def test_missing_programs_are_asked_for_before_anything_is_built(
    run: Run, box: catalogue.Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.remove(box)
    missing = packages.Package("debootstrap", ("debootstrap",), "unpacks")
    monkeypatch.setattr(tools, "plan_missing", lambda _: (missing,))
    result = run("box", "build")
    assert result.exit_code == errors.NotSupported.exit_code
    assert "debootstrap" in result.stderr


@pytest.mark.parametrize(
    "words", [("--provider", "hyperv"), ("--provider", "lxc", "--arch", "arm64")]
)
def test_what_cannot_be_built_here_is_refused(
    run: Run, box: catalogue.Box, words: tuple[str, ...]
) -> None:
    result = run("box", "build", *words)
    assert result.exit_code == errors.NotSupported.exit_code


def test_it_forgets_by_version(
    run: Run, box: catalogue.Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[catalogue.Box] = []
    monkeypatch.setattr(store, "take_from_vagrant", taken.append)
    assert run("box", "rm", "1.2").exit_code == errors.NothingMatched.exit_code
    assert run("box", "rm", box.version).exit_code == 0
    assert taken == [box]
    assert "no box" in run("box", "list").stderr


def test_a_file_that_is_no_box_is_refused(run: Run, box: catalogue.Box, tmp_path: Path) -> None:
    assert run("box", "add", str(tmp_path / "a.box")).exit_code == errors.ConfigError.exit_code
