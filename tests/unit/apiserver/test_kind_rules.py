"""Rules of single kinds that a stock server has, too: what each refuses, and where it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labkit.apiserver import kinds, validation
from labkit.apiserver.kinds import kind, nodes, services, workloads
from labkit.model import resources
from tests.unit.apiserver import cluster


def complaints(validate: kind.Validate, obj: resources.Object) -> list[str]:
    report = validation.Report()
    validate(obj, report)
    return [str(cause) for cause in report.causes]


def balancer(**spec: Any) -> resources.Object:
    obj = cluster.service(type="LoadBalancer", **spec)
    services.default(obj)
    return obj


def test_taints_are_unique_by_key_and_effect() -> None:
    taint = {"key": "k", "effect": "NoSchedule"}
    others = [{**taint, "effect": "NoExecute"}, {**taint, "key": "other"}]
    assert complaints(nodes.validate, cluster.node(taints=[taint, *others])) == []
    (complaint,) = complaints(nodes.validate, cluster.node(taints=[taint, taint]))
    assert complaint == (
        'metadata.taints[1]: Duplicate value: core.Taint{Key:"k", Value:"", Effect:"NoSchedule", '
        "TimeAdded:<nil>}: taints must be unique by key and effect pair"
    )


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/33", "x"])
def test_a_source_range_has_a_length(text: str) -> None:
    (complaint,) = complaints(services.KIND.validate, balancer(loadBalancerSourceRanges=[text]))
    assert complaint.startswith(f'spec.loadBalancerSourceRanges[0]: Invalid value: "{text}"')
    fine = balancer(loadBalancerSourceRanges=["10.0.0.0/8", " 10.1.0.0/16 "])
    assert complaints(services.KIND.validate, fine) == []


@pytest.mark.parametrize("point", [{"ip": "x"}, {"hostname": "_"}])
def test_a_balancer_reports_addresses_and_names(point: dict[str, str]) -> None:
    obj = {**balancer(), "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, point]}}}
    (complaint,) = complaints(services.KIND.validate, obj)
    assert complaint.startswith(f"status.loadBalancer.ingress[1].{next(iter(point))}: ")


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ({}, []),
        ({"replicas": 2, "readyReplicas": 2, "availableReplicas": 1}, []),
        ({"replicas": 1, "readyReplicas": 2}, ["readyReplicas"]),
        ({"replicas": 2, "readyReplicas": 1, "availableReplicas": 2}, ["availableReplicas"]),
        ({"replicas": -4}, ["replicas"]),
        ({"replicas": -4, "readyReplicas": 0}, ["replicas", "readyReplicas"]),
    ],
)
def test_no_count_exceeds_all_replicas(
    make_workload: Callable[[], resources.Object], state: dict[str, int], fields: list[str]
) -> None:
    found = complaints(workloads.validate, {**make_workload(), "status": state})
    assert [text.partition(":")[0] for text in found] == [f"status.{field}" for field in fields]


@pytest.fixture
def make_workload() -> Callable[[], resources.Object]:
    def make() -> resources.Object:
        labels = {"app": "web"}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "x"}]},
        }
        obj: resources.Object = {
            "spec": {"selector": {"matchLabels": labels}, "template": template}
        }
        workloads.default(obj)
        return obj

    return make


def test_every_column_says_what_it_tells() -> None:
    for each in kinds.KINDS:
        for column in each.columns:
            assert column.definition["description"].endswith(".")
