"""What a machine of a lab costs in memory: sshd, kube-proxy and podlet, with no pod on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit import lab
from tests.bench import memory

pytestmark = [pytest.mark.lab]

#: Kilobytes of proportional set size. A worker aims at 20 MB and holds 21.4. This keeps it from
#: growing. It leaves room for what a machine with fewer other programs of the same kind has to
#: share with fewer: the code of Python and OpenSSL is 11 MB.
WORKER = 26 * 1024
#: An outside machine is sshd and a shell.
OUTSIDE = 5 * 1024


def test_a_machine_without_pods_stays_small(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with lab.open_lab("m") as opened:
        try:
            opened.up(example=False)
            opened.close()
            found = memory.read_lab(opened)
        finally:
            opened.down(purge=True)
    for name in ("node1", "node2"):
        assert set(found[name]) - {"sessions"} == {
            "machine",
            "sshd",
            "supervisors",
            "kube-proxy",
            "podlet",
        }
        assert memory.at_rest(found[name]) <= WORKER, found[name]
    assert memory.at_rest(found["client"]) <= OUTSIDE, found["client"]
