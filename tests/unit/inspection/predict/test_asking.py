"""Requests to a Service of a lab whose nodes were recorded."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from labkit import errors
from labkit.inspection import collect
from labkit.inspection.predict import asking, judging, packets, report
from labkit.model import resources, rules
from tests.unit.inspection import recorded

SERVICE = recorded.service(externalIPs=["192.168.56.77"])
SERVICE["status"] = {"loadBalancer": {"ingress": [{"ip": "192.168.56.240"}]}}
ENDPOINTS: resources.Object = {
    "metadata": SERVICE["metadata"],
    "subsets": [
        {
            "addresses": [{"ip": "10.244.1.2"}, {"ip": "10.244.2.2", "nodeName": "node2"}],
            "ports": [{"port": 8080}],
        }
    ],
}
OBJECTS = collect.Objects(SERVICE, ENDPOINTS, recorded.PODS)
STATES = (
    recorded.state("node1", "app1-node1-before"),
    collect.NodeState(recorded.LAB.node("node2"), trouble="does not answer"),
)


def ask(sender: str = "", via: str = "cluster-ip", port: str = "") -> report.Prediction:
    request = asking.Request("app1", sender=sender, via=via, port=port)
    return asking.forecast(recorded.LAB, OBJECTS, STATES, request)


@pytest.mark.parametrize(
    ("sender", "via", "chain"),
    [
        ("", "cluster-ip", "KUBE-PORTALS-HOST"),
        ("node/node1", "node-port", "KUBE-NODEPORT-HOST"),
        ("pod/app1-a", "cluster-ip", "KUBE-PORTALS-CONTAINER"),
        ("pod/app1-a", "node-port", "KUBE-NODEPORT-CONTAINER"),
        ("client", "node-port", "KUBE-NODEPORT-CONTAINER"),
    ],
)
def test_the_five_ways(sender: str, via: str, chain: str) -> None:
    found = ask(sender, via)
    assert [(way.share, way.end) for way in found.ways] == [
        (0.5, "pod 10.244.1.2:8080 on node1"),
        (0.5, "pod 10.244.2.2:8080 on node2"),
    ]
    for way in found.ways:
        assert any(f"-A {chain} " in step.rule for step in way.steps)


@pytest.mark.parametrize(
    ("sender", "node", "port"),
    [("", "", 8080), ("pod/app1-a", "", 8080), ("client", "", 30062), ("", "node1", 30062)],
)
def test_the_way_that_is_meant_when_none_is_named(sender: str, node: str, port: int) -> None:
    """Nobody outside has a way to a clusterIP, and a clusterIP is no node's."""
    request = asking.Request("app1", sender=sender, node=node)
    found = asking.forecast(recorded.LAB, OBJECTS, STATES, request)
    assert found.dialled.endswith(f":{port}")
    settled = asking.settle(request, outside=sender == "client")
    assert settled.via == ("node-port" if port == 30062 else "cluster-ip")
    assert asking.forecast(recorded.LAB, OBJECTS, STATES, settled).dialled == found.dialled


def test_what_all_ways_have_in_common_is_told_once() -> None:
    found = ask("pod/app1-a")
    text = " ".join(repr(found).split())
    first, second = found.ways
    assert first.steps[1] == second.steps[1]
    assert text.count(first.steps[1].rule) == 1
    assert text.index("All of them begin like this") < text.index("50% of requests")
    alone = replace(found, ways=(first,))
    assert "begin like this" not in repr(alone)
    assert first.steps[1].rule in " ".join(repr(alone).split())


def test_both_forms_carry_the_same_facts() -> None:
    found = ask("pod/app1-a")
    told = json.loads(json.dumps(found.to_json()))
    assert (told["schema"], told["version"]) == ("labkit.dev/prediction", 1)
    for way in told["ways"]:
        assert way["end"] in repr(found)
        for step in way["steps"]:
            assert step["rule"] in " ".join(repr(found).split())
    assert "node2: does not answer" in repr(found)
    assert "nothing was sent" in found._repr_html_()


@pytest.mark.parametrize(
    ("sender", "via", "port", "kind", "why"),
    [
        ("cat/x", "cluster-ip", "", errors.UsageError, "nobody to send is called cat/x"),
        ("client", "cluster-ip", "", errors.UsageError, "the rules do not say to which node"),
        ("pod/zz", "cluster-ip", "", errors.NothingMatched, "no pod zz runs in default"),
        ("", "cluster-ip", "dns", errors.NothingMatched, "app1 has no port dns"),
    ],
)
def test_what_cannot_be_asked(
    sender: str, via: str, port: str, kind: type[errors.LabkitError], why: str
) -> None:
    with pytest.raises(kind, match=why):
        ask(sender, via, port)


def test_addresses_from_outside_are_dialled_at_the_service_port() -> None:
    assert ask(via="external-ip").dialled == "192.168.56.77:8080"
    assert ask(via="load-balancer").dialled == "192.168.56.240:8080"
    bare = replace(OBJECTS, service=recorded.service())
    request = asking.Request("app1", via="external-ip")
    with pytest.raises(errors.NothingMatched, match="has no external-ip"):
        asking.forecast(recorded.LAB, bare, STATES, request)


def test_a_service_that_kube_proxy_skips() -> None:
    headless = replace(OBJECTS, service=recorded.service(clusterIP="None"))
    with pytest.raises(errors.NothingMatched, match="kube-proxy does not serve app1"):
        asking.forecast(recorded.LAB, headless, STATES, asking.Request("app1"))


def test_an_interface_that_nobody_has_read() -> None:
    world = asking.build_world(STATES, OBJECTS, asking.find_port(SERVICE, asking.Request("app1")))
    machine = world.machines["node1"]
    packet = packets.Packet(
        "tcp", machine.interfaces[0].address, machine.interfaces[0].address, 1, arrives_by="?"
    )
    chances = [
        judging.judge(rules.Rule("X", f"-i {name} -j ACCEPT"), packet, machine).chance
        for name in ("eth0", "cbr0", "lo")
    ]
    assert chances == [None, 0.0, 0.0]


def test_the_node_port_of_another_node() -> None:
    request = asking.Request("app1", sender="pod/app1-a", via="node-port", node="node2")
    (one,) = asking.forecast(recorded.LAB, OBJECTS, STATES, request).ways
    assert one.end == "a process on node2 at port 30062"  # its rules could not be read
    client = asking.Request("app1", sender="client", via="node-port", node="node2")
    assert asking.forecast(recorded.LAB, OBJECTS, STATES, client).dialled == "192.168.56.12:30062"


def test_why_lists_every_rule_that_was_met_with_what_said_no() -> None:
    request = asking.Request("app1", sender="pod/app1-a")
    found = asking.forecast(recorded.LAB, OBJECTS, STATES, request, why=True)
    plain = asking.forecast(recorded.LAB, OBJECTS, STATES, request)
    assert all(not way.considered for way in plain.ways)
    assert "Rules considered" not in repr(plain)
    text = " ".join(repr(found).split())
    for way in found.ways:
        taken = [one.rule for one in way.considered if not one.refusal]
        assert taken == [step.rule for step in way.steps]
        refused = [one for one in way.considered if one.refusal]
        assert refused
        for one in refused:
            assert one.refusal in text
            assert one.rule in text
    told = json.loads(json.dumps(found.to_json()))
    assert told["ways"][0]["considered"][0].keys() == {
        "machine", "hook", "table", "rule", "refusal",
    }  # fmt: skip
