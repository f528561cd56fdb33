"""A real lab: the rule that each of the five requests moved is the one that was predicted."""

from __future__ import annotations

import pytest

from labkit import lab
from labkit.inspection import collect, ways
from labkit.inspection.predict import asking
from labkit.model import example

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


def test_every_way_in_goes_as_predicted(opened: lab.Lab) -> None:
    report = opened.up().ways
    assert report
    objects = collect.read_objects(opened.api.client, example.NAME, "default")
    attempts = ways.plan_ways(opened.spec, objects.service, objects.pods)
    assert len(report.proofs) == len(attempts) == 5
    for proof, attempt in zip(report.proofs, attempts, strict=True):
        outside = not opened.spec.node(attempt.machine).in_cluster
        pod = attempt.pod.partition("/")[2]
        sender = f"pod/{pod}" if pod else "client" if outside else f"node/{attempt.machine}"
        via = "cluster-ip" if attempt.way.dials == "clusterIP:port" else "node-port"
        request = asking.Request(example.NAME, sender=sender, via=via, node=attempt.catcher)
        predicted = asking.predict(opened.pool, opened.api.client, opened.spec, request)
        assert predicted.dialled == f"{attempt.address}:{attempt.port}"
        assert sum(way.share for way in predicted.ways) == pytest.approx(1, abs=1e-5)
        for way in predicted.ways:
            assert way.reached, repr(predicted)
            assert proof.rule in [step.rule for step in way.steps], repr(predicted)
        assert proof.pod in {
            pod["metadata"]["name"]
            for pod in objects.pods
            for way in predicted.ways
            if f"pod {pod['status']['podIP']}:" in way.end
        }
