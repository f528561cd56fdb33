"""What a lesson's start changes in a lab, and what it leaves alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from labkit.lessons import checkpoint
from labkit.model import example

LESSON = "02-the-example-service"


def live(obj: dict[str, Any], **meta: Any) -> dict[str, Any]:
    """An object as the API server has it: defaults filled in."""
    made = copy.deepcopy(obj)
    made["metadata"] |= {"uid": "u", "resourceVersion": "7", **meta}
    if made["kind"] == "Service":
        made["spec"] |= {"clusterIP": "10.96.0.7", "sessionAffinity": "None"}
        for port in made["spec"]["ports"]:
            port.setdefault("protocol", "TCP")
    return made


WANT = checkpoint.wanted("example", "", LESSON)
HAVE = [live(obj) for obj in WANT]


def test_a_lab_that_is_right_is_left_alone() -> None:
    assert checkpoint.plan(HAVE, WANT) == checkpoint.Plan((), (), ())


def test_an_empty_lab_gets_all_of_it() -> None:
    assert checkpoint.plan([], WANT) == checkpoint.Plan((), (), WANT)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("spec", "ports", 0, "port"), 9090),
        (("spec", "ports", 0, "targetPort"), 8081),
        (("spec", "ports", 0, "nodePort"), 30063),
        (("spec", "sessionAffinity"), "ClientIP"),
        (("spec", "selector"), {"name": "other"}),
        (("spec", "externalIPs"), ["192.168.56.11"]),
        (("metadata", "labels"), {"name": "other"}),
    ],
)
def test_what_a_learner_changed_is_made_right(where: tuple[Any, ...], value: Any) -> None:
    changed = copy.deepcopy(HAVE[0])
    inner: Any = changed
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    plan = checkpoint.plan([changed, *HAVE[1:]], WANT)
    assert plan == checkpoint.Plan((changed,), (), (WANT[0],))


def test_an_object_of_the_learners_own_is_stashed_as_it_was_written() -> None:
    mine = live(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "mine", "namespace": "default"},
            "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}},
        }
    )
    plan = checkpoint.plan([*HAVE, mine], WANT)
    assert plan.delete == (mine,)
    [kept] = plan.stash
    assert kept["metadata"] == {"name": "mine", "namespace": "default"}
    assert "clusterIP" not in kept["spec"]
    assert kept["spec"]["selector"] == {"a": "b"}


def test_an_object_of_another_lesson_goes_without_being_stashed() -> None:
    other = live(checkpoint.wanted("example", "", "05-other")[0], name="other")
    assert checkpoint.plan([*HAVE, other], WANT) == checkpoint.Plan((other,), (), ())


def test_the_clusters_own_and_what_controllers_made_is_left_alone() -> None:
    own = [
        live({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes"},
              "spec": {"ports": [{"port": 443}]}}),
        live(example.pod(9), ownerReferences=[{"kind": "ReplicaSet", "name": "web"}]),
        live({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "app1"}}),
    ]  # fmt: skip
    assert checkpoint.plan([*HAVE, *own], WANT) == checkpoint.Plan((), (), ())


def test_endpoints_that_no_selector_made_are_the_learners_own() -> None:
    mine = live(
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": "by-hand"},
            "subsets": [{"addresses": [{"ip": "10.244.1.9"}], "ports": [{"port": 80}]}],
        }
    )
    plan = checkpoint.plan([*HAVE, mine], WANT)
    assert plan.delete == (mine,)
    assert plan.stash[0]["subsets"] == mine["subsets"]


def test_a_pod_that_has_ended_is_made_anew() -> None:
    ended = {**HAVE[1], "status": {"phase": "Failed"}}
    plan = checkpoint.plan([HAVE[0], ended, *HAVE[2:]], WANT)
    assert plan == checkpoint.Plan((ended,), (), (WANT[1],))
