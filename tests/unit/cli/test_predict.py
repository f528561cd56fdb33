"""predict: what is asked reaches the lab, and `--why` with it."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.inspection.predict import asking, considered, report
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld

WAY = report.Way(
    1.0,
    "it leaves node1 for 10.96.0.9:80, which no machine here has",
    reached=False,
    unsure=(),
    steps=(),
    considered=(
        considered.Considered(
            "node1", "OUTPUT", "nat", "-A OUTPUT -p udp", "-p udp: the packet is tcp"
        ),
    ),
)


@pytest.mark.parametrize("why", [True, False])
def test_why_is_asked_for(
    run: Run, world: FakeWorld, monkeypatch: pytest.MonkeyPatch, *, why: bool
) -> None:
    asked: list[Any] = []

    def predict(request: asking.Request, *, why: bool) -> report.Prediction:
        asked.append((request.service, why))
        return report.Prediction("default/app1", "node1", "10.96.0.9:80", (WAY,))

    monkeypatch.setattr(world.lab, "predict", predict, raising=False)
    done = run("predict", "app1", *(["--why"] if why else []))
    assert done.exit_code == 0, done
    assert asked == [("app1", why)]
    assert "Rules considered" in done.stdout
    assert "-p udp: the packet is tcp" in done.stdout
