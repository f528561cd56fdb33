"""The whole value, in its three forms; the stored forms are what a learner sees and a script reads.

LABKIT_RECORD=1 writes them anew; look at the difference before you keep it.
"""

from __future__ import annotations

import json
import os

from labkit.inspection import collect, service
from labkit.model import resources
from tests.unit.inspection import recorded

STATES = (
    recorded.state("node1", "app1-node1-after"),
    recorded.state("node2", "app1-node2-after"),
    collect.NodeState(recorded.LAB.node("control"), trouble="sshd does not answer"),
)


def inspect(
    obj: resources.Object, *states: collect.NodeState, endpoints: resources.Object | None = None
) -> service.ServiceInspection:
    return service.inspect_service(obj, endpoints, recorded.PODS, states)


def whole() -> service.ServiceInspection:
    return inspect(recorded.service(), *STATES, endpoints=recorded.endpoints())


def stored(name: str, now: str) -> str:
    path = recorded.CASES / name
    if os.environ.get("LABKIT_RECORD"):
        path.write_text(now)
    return path.read_text()


def test_text_as_stored() -> None:
    assert repr(whole()) + "\n" == stored("app1-inspection.txt", repr(whole()) + "\n")


def test_json_as_stored() -> None:
    now = json.dumps(whole().to_json(), indent=2) + "\n"

    assert now == stored("app1-inspection.json", now)


def test_text_fits_its_page() -> None:
    assert max(map(len, repr(whole()).splitlines())) <= 100


def test_html_carries_each_rule_and_each_problem() -> None:
    markup = whole()._repr_html_()

    assert markup.count("--comment &quot;default/app1&quot;") == 10
    assert "sshd does not answer" in markup


def test_a_headless_service_says_why_there_are_no_rules() -> None:
    told = inspect(recorded.service(clusterIP="None"), STATES[0], endpoints=recorded.endpoints())

    assert told.notes[0].startswith("kube-proxy makes no rules for this Service: clusterIP None")
    assert told.nodes[0].problems == (
        "the rules of default/app1 are stale: the Service has no such port",
    )


def test_an_external_name_on_a_node_without_rules() -> None:
    named = recorded.service(type="ExternalName", externalName="example.test", clusterIP=None)

    told = repr(inspect(named, recorded.state("node2", "bare")))

    assert told.startswith("Service default/app1: type ExternalName\n")
    assert "no rules, as it should be" in told


def test_stale_rules_and_dead_proxies_are_seen_in_the_text() -> None:
    dead = recorded.edited("node1", "app1-node1-after", ("*:40193", "*:40194"))
    moved = recorded.service(ports=[{"port": 8080, "nodePort": 30070}])

    told = repr(inspect(moved, dead, endpoints=recorded.endpoints(not_ready=recorded.PODS[:1])))

    assert "proxy port 40193/tcp, where nobody listens" in told
    assert "nothing: stale" in told
    assert "not ready" in told


def test_no_rule_on_a_node_is_said_once() -> None:
    told = repr(inspect(recorded.service(), recorded.state("node2", "bare")))

    assert told.endswith("none of kube-proxy's chains exists: kube-proxy has not been running here")


def test_an_endpoint_without_pod_tells_no_reason() -> None:
    obj = {"subsets": [{"notReadyAddresses": [{"ip": "10.0.0.9"}], "ports": [{"port": 80}]}]}

    told = repr(inspect(recorded.service(), endpoints=obj))

    assert "10.0.0.9:80  -          -    -     not ready" in told


def test_the_type_defaults_to_cluster_ip() -> None:
    assert inspect(recorded.service(type=None)).type == "ClusterIP"
