"""The provider contract on Vagrant's machines: of the lab whose `labkit.toml` is in this folder.

Runs where libvirt is: `python -m tests.vagrant python -m pytest tests/vagrant/contract.py`. All
tests share one lab, whose machines may be there already: each boot costs what a test may take.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import labfile, paths
from labkit.model import spec
from labkit.providers.vagrant import provider
from labkit.ssh import keys
from tests.contracts import provider as contract


def open_lab(lab: spec.LabSpec) -> contract.Lab:
    """With keys, as `Lab.up` makes them before it asks for machines."""
    where = paths.of(lab.name)
    if not where.private_key.exists():
        pair = keys.generate_ed25519()
        keys.write_key(where.private_key, pair.private_openssh)
        where.private_key.with_suffix(".pub").write_text(f"{pair.public}\n")
    return contract.Lab(lab, where, provider.VagrantProvider(lab, where))


@pytest.fixture(scope="module")
def lab() -> Iterator[contract.Lab]:
    made = open_lab(labfile.load(Path("labkit.toml")))
    yield made
    made.provider.purge()


class TestVagrant(contract.Contract):
    @pytest.fixture
    def unmade(self, home: Path) -> contract.Lab:
        return open_lab(labfile.load(Path("labkit.toml"), {"name": "unmade"}))
