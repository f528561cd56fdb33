"""Containers of LXC that are halted and started again, as often as somebody likes."""

from __future__ import annotations

import pytest

from tests.vagrant import typed

pytestmark = [pytest.mark.vagrant, pytest.mark.timeout(1200)]


def test_containers_come_back_at_once() -> None:
    """What is left of the former ones in the kernel must not answer in their names."""
    with typed.at("lxc") as there:
        lab_file = there.folder / "labkit.toml"
        lab_file.write_text(lab_file.read_text() + "\n[nodes]\nworkers = 1\n")
        there.labkit("up", "--no-example", timeout_s=300)
        for _ in range(3):
            there.labkit("down", timeout_s=120)
            left = there.raw("sh", "-c", "ip -br link show master lk-vm").stdout
            assert not left.strip(), "the bridge has no port while no container runs"
            there.labkit("up", "--no-example", timeout_s=300)
