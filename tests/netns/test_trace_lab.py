"""A real lab: each way in is followed to the pod that answered, and no rule of ours stays."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping

import pytest

from labkit import errors, faults, lab
from labkit.client import http
from labkit.inspection import collect, probing
from labkit.inspection.predict import asking
from labkit.inspection.trace import listening, report
from labkit.lab import api
from labkit.model import resources
from tests.netns import test_probe_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def opened(shared: lab.Lab) -> lab.Lab:
    return shared


def rules_of(opened: lab.Lab) -> Mapping[str, list[str]]:
    """Every node's rules and tables, without counters and the time of asking."""
    return {
        node.name: [
            line.partition(" [")[0]
            for line in opened.exec(node.name, ["iptables-save"]).stdout.splitlines()
            if not line.startswith("#")
        ]
        for node in opened.spec.cluster
    }


@pytest.mark.parametrize(
    ("sender", "via", "node", "chain"),
    [
        ("pod/app1-1", "cluster-ip", "", "KUBE-PORTALS-CONTAINER"),
        ("node/node1", "cluster-ip", "", "KUBE-PORTALS-HOST"),
        ("client", "node-port", "node2", "KUBE-NODEPORT-CONTAINER"),
        ("pod/app1-1", "node-port", "", "KUBE-NODEPORT-CONTAINER"),
        ("node/node1", "node-port", "node1", "KUBE-NODEPORT-HOST"),
        ("node/node1", "node-port", "node2", "KUBE-NODEPORT-CONTAINER"),
    ],
)
def test_each_way_in_is_followed_to_the_pod_that_answered(
    opened: lab.Lab, sender: str, via: str, node: str, chain: str
) -> None:
    before = rules_of(opened)
    request = asking.Request("app1", sender=sender, via=via, node=node)
    predicted = opened.predict(request)
    found = opened.trace(request)
    assert found.ok, repr(found)
    assert rules_on_the_way(found) in [
        [(step.machine, step.table, step.rule) for step in way.steps] for way in predicted.ways
    ]
    steps = [step for hop in found.hops for step in hop.steps]
    assert chain in [step.chain for step in steps if "default/app1" in step.rule]
    [chosen] = [hop.what for hop in found.hops if "chooses" in hop.what]
    [answered] = [
        hop.where for hop in found.hops if hop.where.startswith("pod ") and "takes" in hop.what
    ]
    assert chosen.split()[1] == answered.removeprefix("pod ")
    assert any("the proxy's first packet" in hop.what for hop in found.hops)
    assert found.translations
    assert rules_of(opened) == before


@pytest.mark.parametrize(("sender", "via"), [("client", "node-port"), ("", "cluster-ip")])
def test_the_way_that_was_meant_is_said(opened: lab.Lab, sender: str, via: str) -> None:
    found = opened.trace(asking.Request("app1", sender=sender))
    assert found.ok, repr(found)
    assert found.request == asking.Request("app1", sender=sender, via=via)


def rules_on_the_way(found: report.Trace) -> list[tuple[str, str, str]]:
    """Every rule that took the request on its way there: its own packet, and the proxy's."""
    there = ("the first packet", "the proxy's first packet")
    return [
        (hop.where, step.table, step.rule)
        for hop in found.hops
        if hop.what.startswith(there)
        for step in hop.steps
        if step.rule
    ]


def test_a_datagram_is_followed_there_and_back(opened: lab.Lab) -> None:
    opened.apply(test_probe_lab.SHOUTER)
    opened.apply(test_probe_lab.UDP)
    opened.api.wait_for(
        resources.PODS, ["shout"], api.lacks_readiness, namespace="default", timeout_s=30
    )
    probing.wait_until_served(opened.pool, ["node1"], "default/shout", timeout_s=30)
    found = opened.trace("shout")
    assert found.ok, repr(found)
    told = [hop.what for hop in found.hops]
    order = ["the first packet", "takes what", "the proxy's first packet", "the pod's answer"]
    places = [next(i for i, what in enumerate(told) if what.startswith(one)) for one in order]
    back = next(i for i, what in enumerate(told) if what.startswith("the answer"))
    assert [*places, back] == sorted([*places, back])


def listeners(opened: lab.Lab, node: str) -> list[str]:
    """The processes of the script that listens, and of who cleans up after it, by number."""
    said = opened.exec(node, ["pgrep", "-f", "labkit-trace"]).stdout.split()
    return [
        pid
        for pid in said
        if "python3" in opened.exec(node, ["cat", f"/proc/{pid}/cmdline"]).stdout
    ]


def wait_until_gone(node: collect.Connection) -> None:
    """Nobody announces to us that a node's table raw is gone, so a node looks until it is."""
    waited = "for i in $(seq 200); do iptables-save | grep -q '^[*]raw' || exit 0; done; exit 1"
    node.run(["sh", "-c", waited], timeout_s=30)


@pytest.mark.parametrize("killed", ["the listener", "all"])
def test_the_rules_go_though_it_is_killed(opened: lab.Lab, killed: str) -> None:
    before = rules_of(opened)
    connection = opened.pool.connection("node1")
    rule = "-A PREROUTING -p tcp -m tcp --sport 20000 --dport 1 -j TRACE"
    with (
        contextlib.suppress(errors.CommandFailed),
        connection.stream(listening.on_node("test", "30", rule)) as stream,
    ):
        assert json.loads(next(stream.lines())) == {"listening": True}
        assert any("labkit-trace:test" in line for line in rules_of(opened)["node1"])
        listener, guard = listeners(opened, "node1")
        connection.run(["kill", "-9", listener, *([guard] if killed == "all" else [])])
    if killed == "all":  # then nobody was left, and the next trace does it
        assert opened.trace("app1").ok
    else:
        wait_until_gone(connection)
    assert rules_of(opened) == before


def test_a_table_in_which_somebody_has_a_rule_stays(opened: lab.Lab) -> None:
    rule = "PREROUTING -s 192.0.2.1/32 -j ACCEPT"
    opened.exec("node1", ["iptables", "-t", "raw", "-A", *rule.split()])
    before = rules_of(opened)
    assert opened.trace("app1").ok
    assert rules_of(opened) == before
    assert f"-A {rule}" in before["node1"]
    opened.exec("node1", ["iptables", "-t", "raw", "-D", *rule.split()])
    assert opened.trace("app1").ok
    assert "*raw" not in rules_of(opened)["node1"]


def test_the_rules_go_with_the_connection(opened: lab.Lab) -> None:
    before = rules_of(opened)
    connection = opened.pool.connection("node1")
    stream = connection.stream(
        listening.on_node("test", "30", "-A OUTPUT -p tcp -m tcp --dport 1 -j TRACE")
    )
    next(stream.__enter__().lines())
    connection.close()
    with pytest.raises(errors.ConnectionFailed):
        stream.__exit__(None, None, None)
    wait_until_gone(connection)
    assert rules_of(opened) == before


PORTS = {"a": 81, "b": 82}
WRONG = [
    # fault, sender, via, the cause as trace tells it, and as predict does; empty: the rules are
    # innocent, so predict lets it through
    (
        "wrong-target-port",
        "node/node1",
        "cluster-ip",
        "is targetPort right",
        "nobody listens at port",
    ),
    ("selector-typo", "client", "node-port", "has no endpoints", "has no endpoint"),
    (
        "missing-jump",
        "client",
        "node-port",
        "the jump from PREROUTING to KUBE-NODEPORT-CONTAINER is missing",
        "no rule leads from there to a proxy port",
    ),
    ("stale-mode", "node/node1", "cluster-ip", "userspace mode did not write", "no machine here"),
    (
        "dead-redirect",
        "client",
        "node-port",
        "led it to port 9, and nobody listens",
        "nobody listens at port 9",
    ),
    ("dead-dnat", "node/node1", "cluster-ip", "nobody listens there", "nobody listens at port"),
    (
        "input-drop",
        "pod/app1-1",
        "cluster-ip",
        "chain INPUT, this refused it",
        "DROP on node1 by -A INPUT",
    ),
    (
        "output-drop",
        "node/node1",
        "cluster-ip",
        "chain OUTPUT, this refused it",
        "DROP on node1 by -A OUTPUT",
    ),
    ("proxy-dead", "client", "node-port", "nobody listens there", "nobody listens at port"),
    ("proxy-hung", "client", "node-port", "does it hang?", ""),
    ("lost-label", "node/node1", "cluster-ip", "No pod of the namespace has", "has no endpoint"),
    ("pod-not-ready", "node/node1", "cluster-ip", "is not ready: ", "has no endpoint"),
    (
        "flushed-chain",
        "pod/app1-1",
        "cluster-ip",
        "no rule for spec.clusterIP + spec.ports[0].port in KUBE-PORTALS-CONTAINER",
        "no machine here has",
    ),
    ("jump-order", "node/node1", "cluster-ip", "let it pass: -A OUTPUT", "no machine here has"),
    ("endpoint-blackholed", "node/node1", "cluster-ip", "has node1 a way to them", ""),
    ("endpoint-blackholed", "pod/app1-1", "cluster-ip", "has it a route back to 10.244.1", ""),
    ("conntrack-full", "client", "node-port", "chain INPUT, this refused it", None),
    ("certificate-expired", "client", "node-port", "nobody listens there", "nobody listens at"),
]


@pytest.mark.parametrize(("fault", "sender", "via", "cause", "predicted"), WRONG)
def test_why_not(
    opened: lab.Lab, fault: str, sender: str, via: str, cause: str, predicted: str | None
) -> None:
    request = asking.Request("app1", sender=sender, via=via, node="node1")
    try:
        faults.inject(
            opened, fault, node=None if faults.FAULTS[fault].layer == "objects" else "node1"
        )
        found = opened.trace(request)
        told = opened.predict(request, why=True)
    finally:
        faults.end(opened)
    assert found.verdict is not None, repr(found)
    assert cause in found.verdict.cause
    assert not found.ok
    assert found.considered
    if predicted is None:
        assert any(way.unsure for way in told.ways), (
            "how many connections there are, rules know not"
        )
        return
    for way in told.ways:
        assert way.reached is not bool(predicted), repr(told)
        assert predicted in way.end


@pytest.mark.parametrize(
    ("command", "sender", "cause"),
    [
        # FORWARD of the pods' node drops the proxy's own packet: no endpoint is left.
        (
            "iptables {} FORWARD -i eth0 -p tcp --syn -j DROP",
            "node/node2",
            "in table filter, chain FORWARD, this refused it: -A FORWARD -i eth0",
        ),
        # The answer leaves by the pods' bridge, where nobody has the client's address.
        ("ip route {} 192.168.56.100/32 dev cbr0", "client", "was lost on its way back to"),
    ],
)
def test_why_not_between_machines(opened: lab.Lab, command: str, sender: str, cause: str) -> None:
    """Only pods of node1 serve the Service, so that no other hides what is wrong there."""
    add, remove = ("add", "del") if "route" in command else ("-A", "-D")
    far = [
        (pod["metadata"]["name"], pod["metadata"]["labels"])
        for pod in opened.get("pods").objects
        if pod["spec"]["nodeName"] != "node1"
    ]
    try:
        for name, _ in far:
            relabel(opened, name, {"name": "elsewhere"})
        opened.api.wait_for(
            resources.ENDPOINTS, ["app1"], only_on("node1"), namespace="default", timeout_s=30
        )
        probing.wait_until_served(opened.pool, ["node1", "node2"], "default/app1", timeout_s=30)
        opened.exec("node1", command.format(add).split())
        via = "node-port" if sender == "client" else "cluster-ip"
        node = "node1" if sender == "client" else ""
        found = opened.trace(asking.Request("app1", sender=sender, via=via, node=node))
    finally:
        opened.exec("node1", command.format(remove).split())
        for name, labels in far:
            relabel(opened, name, labels)
    assert found.verdict, repr(found)
    assert cause in found.verdict.cause


def relabel(opened: lab.Lab, pod: str, labels: Mapping[str, str]) -> None:
    path = resources.PODS.path("default", pod)
    body = {"metadata": {"labels": dict(labels)}}
    opened.api.client.request("PATCH", path, body=body, content_type=http.MERGE_PATCH)


def only_on(node: str) -> api.Lacks:
    def lacks(endpoints: resources.Object | None) -> str:
        subsets = (endpoints or {}).get("subsets") or ()
        homes = {one["nodeName"] for subset in subsets for one in subset.get("addresses") or ()}
        return "" if homes == {node} else f"has addresses on {homes}"

    return lacks


def test_of_several_ports_the_one_that_lacks_is_named(opened: lab.Lab) -> None:
    ports = [{"name": name, "port": port, "targetPort": 8080} for name, port in PORTS.items()]
    pair = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "pair"},
        "spec": {"ports": ports, "selector": {"name": "app1"}},
    }
    opened.apply(pair)
    probing.wait_until_served(opened.pool, ["node1"], "default/pair", timeout_s=30)
    saved = opened.exec("node1", ["iptables-save", "-t", "nat"]).stdout.splitlines()
    chain = "KUBE-PORTALS-CONTAINER"
    [rule] = [line for line in saved if f"-A {chain} " in line and '"default/pair:b"' in line]
    opened.exec("node1", ["iptables", "-t", "nat", "-D", *shlex.split(rule)[1:]])
    found = opened.trace(asking.Request("pair", sender="pod/app1-1", port="b"))
    opened.delete("service", "pair")
    assert found.verdict
    assert found.verdict.cause == (
        f"no rule led it to a proxy: no rule for spec.clusterIP + spec.ports[1].port in {chain}"
    )


def test_as_a_command(opened: lab.Lab) -> None:
    argv = [sys.executable, "-m", "labkit.cli", "trace", "app1", "--name=t"]
    done = subprocess.run([*argv, "-o", "json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert (told["schema"], told["verdict"]) == ("labkit.dev/trace", None)
    predicted = subprocess.run([*argv, "--predict"], capture_output=True, text=True, check=False)
    assert predicted.returncode == 0, predicted
    with pytest.raises(errors.NotFound):
        opened.trace("ghost")
