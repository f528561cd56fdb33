"""A provider with a `vagrant` that makes no machines, and real sshds in their place."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labkit import paths
from labkit.model import events, spec
from labkit.providers.vagrant import machines, provider
from labkit.ssh import keys
from tests.contracts import machine
from tests.unit.providers import fake_vagrant

FAKE = Path(__file__).with_name("fake_vagrant.py")


@dataclass
class Fake:
    """The file that the fake `vagrant` reads and writes, and the provider that calls it."""

    file: Path
    lab: spec.LabSpec
    paths: paths.LabPaths
    provider: provider.VagrantProvider
    nodes: dict[str, machine.Machine]

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.file.read_text()))

    def change(self, **what: Any) -> None:
        self.file.write_text(json.dumps(self.state | what))

    def calls(self) -> list[str]:
        """What `vagrant` was called with since this was asked last."""
        said = list(self.state["calls"])
        self.change(calls=[])
        return said

    def states(self) -> dict[str, str]:
        return {each.name: each.state for each in self.provider.machines()}

    def ensure(self) -> tuple[str, ...]:
        return self.provider.ensure(events.Progress(events.ignore, total=1))


@pytest.fixture
def fake(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    (home / "bin").mkdir()
    shutil.copy(FAKE, home / "bin" / "vagrant")
    (home / "bin" / "vagrant").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin:/usr/sbin:/sbin")
    monkeypatch.setenv("FAKE_VAGRANT", str(home / "state.json"))
    monkeypatch.setattr(machines, "free_memory_mib", lambda: 4096)
    lab = spec.plan("t", provider="vagrant", workers=1)
    where = paths.of("t")
    pair = keys.generate_ed25519()
    keys.write_key(where.private_key, pair.private_openssh)
    where.private_key.with_suffix(".pub").write_text(f"{pair.public}\n")
    with contextlib.ExitStack() as stack:
        nodes = {node.name: stack.enter_context(machine.serve()) for node in lab.machines}
        for each in nodes.values():  # as a box accepts Vagrant's key, and then the lab's too
            with (each.folder / "user_key.pub").open("a") as accepted:
                accepted.write(f"\n{pair.public}\n")
        table = {
            name: {
                "state": "not_created",
                "port": each.endpoint.port,
                "key": str(each.endpoint.private_key),
            }
            for name, each in nodes.items()
        }
        (home / "state.json").write_text(json.dumps(fake_vagrant.EMPTY | {"machines": table}))
        made = provider.VagrantProvider(lab, where)
        yield Fake(home / "state.json", lab, where, made, nodes)
