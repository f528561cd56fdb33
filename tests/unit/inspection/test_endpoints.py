from __future__ import annotations

from typing import Any

import pytest

from labkit.inspection import endpoints
from labkit.model import resources
from tests.unit.inspection import recorded

POD = recorded.PODS[0]
NOBODY = "There is no ready endpoint: a proxy accepts each connection and closes it."


def explain(
    service: resources.Object, obj: resources.Object | None, *pods: resources.Object
) -> tuple[str, ...]:
    return endpoints.explain_backends(service, endpoints.list_backends(obj, pods), pods)


def waiting(**status: Any) -> resources.Object:
    return recorded.pod("app1-w", "node1", "10.244.1.9", **{"conditions": [], **status})


def test_backends_have_pod_node_and_state() -> None:
    slow = waiting(containerStatuses=[{"state": {"waiting": {"reason": "Probing"}}}])

    found = endpoints.list_backends(recorded.endpoints([POD], [slow]), [POD, slow])

    assert found == (
        endpoints.Backend("10.244.1.2", 8080, "", "app1-a", "node1", ready=True),
        endpoints.Backend("10.244.1.9", 8080, "", "app1-w", "node1", ready=False, why="Probing"),
    )


def test_endpoints_without_reference_are_matched_by_address() -> None:
    obj = {"subsets": [{"addresses": [{"ip": "10.244.1.2"}, {"ip": "10.0.0.9"}], "ports": [{}]}]}

    found = endpoints.list_backends(obj, [POD])

    assert [(one.pod, one.node, one.port) for one in found] == [("app1-a", "node1", 0), ("", "", 0)]


def test_nothing_to_explain_where_all_is_well() -> None:
    assert explain(recorded.service(), recorded.endpoints(), *recorded.PODS) == ()


def test_no_pod_has_the_labels() -> None:
    service = recorded.service(selector={"tier": "front", "app": "web"})

    assert explain(service, None, *recorded.PODS) == (
        "No pod of the namespace has the labels app=web,tier=front.",
        NOBODY,
    )


def test_no_selector() -> None:
    service = recorded.service(selector=None)

    assert explain(service, None) == (
        "The Service has no selector, and nobody has made Endpoints for it.",
        NOBODY,
    )
    assert explain(service, recorded.endpoints()) == ()


def test_an_external_name_needs_no_endpoints() -> None:
    assert explain(recorded.service(type="ExternalName"), None) == ()


def test_a_pod_that_is_not_ready_is_named_with_its_reason() -> None:
    pod = waiting(phase="Pending")

    assert explain(recorded.service(), None, pod) == (
        "Pod app1-w is not ready: its phase is Pending.",
        NOBODY,
    )


def test_a_ready_pod_that_is_no_endpoint() -> None:
    named = recorded.service(ports=[{"port": 80, "targetPort": "web"}])

    assert (
        "the endpoints controller has not seen it yet" in explain(recorded.service(), None, POD)[0]
    )
    assert "has it a port called web?" in explain(named, None, POD)[0]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"phase": "Pending"}, "its phase is Pending"),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                     "message": "no node has room"},
                ]
            },
            "Unschedulable: no node has room",
        ),
        (
            {
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
                ]
            },
            "ErrImagePull: no such image",
        ),
        ({"containerStatuses": [{"state": {"terminated": {"reason": "Error"}}}]}, "Error"),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "True", "reason": "Fits"},
                    {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
                ],
                "containerStatuses": [{"state": {"running": {}}}],
            },
            "ContainersNotReady",
        ),
    ],
)  # fmt: skip
def test_why_a_pod_is_not_ready(status: dict[str, Any], why: str) -> None:
    assert endpoints.why_not_ready(waiting(**status)) == why


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    pod = recorded.pod("app1-d", "node1", "10.244.1.3")
    pod["metadata"]["deletionTimestamp"] = "2026-11-23T19:00:00Z"

    assert endpoints.why_not_ready(pod) == "it is being deleted"
