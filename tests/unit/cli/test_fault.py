"""fault."""

from __future__ import annotations

import json

import pytest

from labkit import faults
from labkit.faults import receipts
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld


def test_without_a_word_all_faults_are_listed(run: Run) -> None:
    listed = json.loads(run("fault", "-o", "json").stdout)
    assert listed["schema"] == "labkit.dev/faults"
    assert [one["id"] for one in listed["faults"]] == list(faults.FAULTS)
    assert listed["active"] is None
    assert "proxy-hung" in run("fault", "list").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("inject",), "needs a fault"),
        (("clear", "mtu"), "takes none"),
        (("random", "mtu"), "takes none"),
        (("brake",), "brake"),
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run("fault", *words)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_fault_that_is_not_there_suggests_one(run: Run) -> None:
    done = run("fault", "inject", "proxy-hang")
    assert done.exit_code == 4
    assert "did you mean 'proxy-hung'?" in done.stderr


def test_nothing_to_diagnose_and_nothing_to_clear(run: Run, world: FakeWorld) -> None:
    done = run("fault", "diagnose", "--node", "node1")
    assert done.exit_code == 4
    assert "labkit fault random" in done.stderr
    done = run("fault", "clear")
    assert done.exit_code == 0
    assert "The lab has none." in done.stdout
    assert not receipts.path(world.lab.paths).exists()
