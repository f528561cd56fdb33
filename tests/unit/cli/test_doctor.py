from __future__ import annotations

import dataclasses
import json

import pytest

from labkit.preflight.findings import Finding, Verdict
from labkit.preflight.packages import PACKAGES
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FINE, FakeWorld


@pytest.mark.parametrize(("verdict", "code"), [("fine", 0), ("warning", 3), ("blocked", 5)])
def test_the_worst_finding_decides(run: Run, world: FakeWorld, verdict: Verdict, code: int) -> None:
    world.found = (Finding("disk", verdict, "12 MB are free", "free some"), FINE)
    done = run("doctor")
    assert done.exit_code == code
    assert "12 MB are free" in done.stdout
    assert "try: free some" in done.stdout
    assert json.loads(run("doctor", "-o", "json").stdout)["verdict"] == verdict


def test_doctor_alone_installs_nothing(run: Run, world: FakeWorld) -> None:
    world.missing = PACKAGES[:1]
    assert run("doctor").exit_code == 0
    assert world.installed == ()


def test_fix_installs_what_is_missing(run: Run, world: FakeWorld) -> None:
    world.missing = PACKAGES[:1]
    assert run("doctor", "--fix").exit_code == 5  # nobody is there to agree
    assert run("doctor", "--fix", "--yes").exit_code == 0
    assert world.installed == PACKAGES[:1]
    assert run("doctor", "--fix").exit_code == 0  # nothing left to ask about


def test_it_judges_for_the_provider_that_is_named(run: Run, world: FakeWorld) -> None:
    done = run("doctor", "--provider", "vagrant", "-o", "json")
    assert world.asked_about == "vagrant"
    assert json.loads(done.stdout)["way"] == "vagrant"


@pytest.mark.parametrize("provider", ["vagrant", "ssh"])
def test_else_for_that_of_the_lab_file_and_installs_nothing_for_another(
    run: Run, world: FakeWorld, provider: str
) -> None:
    run("doctor")
    assert world.asked_about == "netns"
    world.lab.spec = dataclasses.replace(world.lab.spec, provider=provider)
    world.missing = PACKAGES[:1]
    done = run("doctor", "--fix", "-o", "json")
    assert world.asked_about == provider
    assert json.loads(done.stdout)["way"] == provider
    assert world.installed == ()
