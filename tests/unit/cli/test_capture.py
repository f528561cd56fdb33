"""capture: lines on stdout, a file where one is asked for."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from labkit.inspection.capture import pcap, taking
from labkit.lab import lab
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld


def test_lines_and_a_file(
    run: Run, world: FakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def take(machines: object, names: list[str], **options: Any) -> tuple[pcap.Packet, ...]:
        asked.update(options, names=names)
        return (pcap.Packet("node1", 1_000, 1, 60, bytes(60)),)

    monkeypatch.setattr(taking, "take", take)
    monkeypatch.setattr(world.lab, "pool", None, raising=False)
    twin = functools.partial(lab.Lab.capture, world.lab)  # type: ignore[arg-type]
    monkeypatch.setattr(world.lab, "capture", twin, raising=False)
    path = tmp_path / "a.pcapng"
    done = run("capture", "--node", "node1", "--for", "2s", "-w", str(path))
    assert done.exit_code == 0, done
    assert asked == {"names": ["node1"], "seconds": 2.0, "interface": "any", "wanted": ""}
    assert done.stdout == "00:00:00.000001 node1  protocol 0x0000  60 bytes\n"
    assert f"1 packets are in {path}" in done.stderr
    assert path.read_bytes()[:4] == b"\n\r\r\n"
