"""The contract of all providers, on virtual machines and on containers; then nothing is left.

Last, for it halts and destroys the machines on which the other tests have looked around.
"""

from __future__ import annotations

import sys

import pytest

from tests.vagrant import harness
from tests.vagrant import typed as typing_there
from tests.vagrant.typed import Typed

pytestmark = [pytest.mark.vagrant, pytest.mark.timeout(1800)]


def hold_the_contract(typed: Typed) -> None:
    """In there, by a pytest of its own; on machines that run already, if some do."""
    suite = harness.ROOT / "tests/vagrant/contract.py"
    settings = ("-c", str(harness.ROOT / "pyproject.toml"), "-p", "no:cacheprovider")
    argv = (sys.executable, "-m", "pytest", *settings, "-o", "timeout=600", "-q", str(suite))
    done = typed.raw(*argv, timeout_s=1500)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("brought_up")
def test_virtual_machines_hold_the_contract(typed: Typed) -> None:
    hold_the_contract(typed)


def test_down_purge_leaves_nothing(typed: Typed) -> None:
    typed.labkit("down", "--purge", "--yes", timeout_s=180)
    assert typed.raw("virsh", "list", "--all", "--name").stdout.strip() == ""
    assert not (typed.here.folder / "state" / "labkit" / "vm").exists()


def test_containers_hold_the_contract() -> None:
    with typing_there.at("lxc") as typed:
        hold_the_contract(typed)
