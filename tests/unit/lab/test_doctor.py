"""What is said of the lab file before a lab is made."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from labkit.client import config
from labkit.lab import doctor
from labkit.providers.vagrant import survey

NAMED = '[control_plane]\nkubeconfig = "theirs"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_lab_with_a_server_of_its_own_needs_no_word(here: Path) -> None:
    (here / "labkit.toml").write_text("[nodes]\nworkers = 1\n")
    assert doctor.judge_lab_file() == ()


def test_which_server_the_kubeconfig_names(here: Path) -> None:
    theirs = config.ClientConfig("https://203.0.113.7:6443", token="t")
    (here / "theirs").write_text(config.render_kubeconfig(theirs))
    (here / "labkit.toml").write_text(NAMED)
    (found,) = doctor.judge_lab_file()
    assert (found.id, found.ok) == ("control-plane", True)
    assert found.what == f"{here}/theirs names the API server https://203.0.113.7:6443"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not YAML"),
        (json.dumps({"clusters": []}), "theirs: "),
    ],
)
def test_a_kubeconfig_of_no_use_stops_a_lab(here: Path, content: str | None, said: str) -> None:
    (here / "labkit.toml").write_text(NAMED)
    if content is not None:
        (here / "theirs").write_text(content)
    (found,) = doctor.judge_lab_file()
    assert (found.id, found.verdict) == ("control-plane", "blocked")
    assert found.what.startswith(f"control_plane.kubeconfig: {here}/theirs")
    assert said in found.what


def test_a_lab_file_with_a_mistake_is_a_finding(here: Path) -> None:
    (here / "labkit.toml").write_text("[nodes]\nworkers = 0\n")
    (found,) = doctor.judge_lab_file()
    assert (found.id, found.verdict) == ("lab-file", "blocked")
    assert "nodes.workers" in found.what
    assert found.fix


def test_the_lab_files_own_provider_is_judged_unless_another_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "labkit.toml").write_text('provider = "vagrant"\nvagrant.provider = "parallels"\n')
    facts = dataclasses.replace(survey.read(), vagrant=True)
    monkeypatch.setattr(survey, "read", lambda: facts)
    named = {each.id: each.what for each in doctor.judge()}
    assert "parallels does not run here" in named["vagrant-provider"]
    assert "namespaces" not in named
    assert "vagrant-provider" not in {each.id for each in doctor.judge("netns")}


def test_hosts_need_no_namespaces_here(here: Path) -> None:
    hosts = "".join(f'[[hosts]]\naddress = "192.0.2.{last}"\n' for last in (10, 11))
    (here / "labkit.toml").write_text(
        f'provider = "ssh"\nnetwork.machines = "192.0.2.0/24"\n{hosts}'
    )
    assert [each.id for each in doctor.judge()] == ["disk", "runtime-folder"]


def test_a_lab_file_that_cannot_be_read_does_not_hide_what_the_machine_lacks(here: Path) -> None:
    (here / "labkit.toml").write_text("[nodes]\nworkers = 0\n")
    found = [each.id for each in doctor.judge("vagrant")]
    assert found[0].startswith("vagrant")
    assert found[-1] == "lab-file"
