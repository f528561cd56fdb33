"""A Service on one node, healthy and broken, from what real nodes printed."""

from __future__ import annotations

from labkit.inspection import collect, nodes
from labkit.model import proxying, rules
from tests.unit.inspection import recorded

PORTS = proxying.parse_service(recorded.service())
AFTER = "app1-node1-after"


def inspect(state: collect.NodeState, *ports: proxying.ServicePort) -> nodes.ServiceOnNode:
    return nodes.inspect_node("default/app1", ports or PORTS, state)


def test_each_rule_is_linked_to_its_chain_counter_and_field() -> None:
    seen = inspect(recorded.state("node1", AFTER))

    assert seen.problems == ()
    (port,) = seen.ports
    assert [(rule.chain, rule.packets, rule.bytes, rule.field) for rule in port.rules] == [
        ("KUBE-PORTALS-CONTAINER", 1, 60, "spec.clusterIP + spec.ports[0].port"),
        ("KUBE-PORTALS-HOST", 1, 60, "spec.clusterIP + spec.ports[0].port"),
        ("KUBE-NODEPORT-CONTAINER", 1, 60, "spec.ports[0].nodePort"),
        ("KUBE-NODEPORT-HOST", 1, 60, "spec.ports[0].nodePort"),
        ("KUBE-NODEPORT-NON-LOCAL", 4, 240, "spec.ports[0].nodePort"),
    ]
    assert port.proxy_port == 40193
    assert port.listener is not None
    assert port.listener.owner == "kube-proxy (python3, pid 27)"


def test_every_address_of_a_load_balancer_is_explained() -> None:
    service = recorded.service(
        clusterIP="10.96.40.1",
        externalIPs=["192.168.56.200", "192.168.56.11"],
        ports=[{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30040}],
    )
    service["metadata"]["name"] = "lb"
    service["status"] = {"loadBalancer": {"ingress": [{"ip": "192.168.56.240"}]}}

    state = recorded.state("node1", "lb-node1")
    seen = nodes.inspect_node("default/lb", proxying.parse_service(service), state)

    assert seen.problems == ()
    fields = [rule.field for rule in seen.ports[0].rules]
    assert len(fields) == 13
    assert fields.count("spec.externalIPs + spec.ports[0].port") == 6
    assert fields.count("status.loadBalancer.ingress + spec.ports[0].port") == 2


def test_ports_are_told_apart_by_name_and_protocol() -> None:
    service = recorded.service(
        clusterIP="10.96.30.1",
        ports=[
            {"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080},
            {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053},
            {"name": "dns-tcp", "port": 53, "nodePort": 30054},
        ],
    )
    service["metadata"]["name"] = "multi"

    state = recorded.state("node1", "multi-node1")
    seen = nodes.inspect_node("default/multi", proxying.parse_service(service), state)

    assert seen.problems == ()
    assert [(port.name, port.protocol, port.proxy_port) for port in seen.ports] == [
        ("default/multi:http", "TCP", 46437),
        ("default/multi:dns", "UDP", 48525),
        ("default/multi:dns-tcp", "TCP", 40811),
    ]
    assert all(port.listener for port in seen.ports)


def test_a_service_whose_name_only_begins_alike_is_another_one() -> None:
    state = recorded.edited("node1", AFTER, ('"default/app1"', '"default/app10"'))

    assert inspect(state).problems == (
        "no rule for default/app1: kube-proxy has not seen this Service, or does not run",
    )


def test_a_node_that_could_not_be_read_says_only_that() -> None:
    state = collect.NodeState(recorded.LAB.node("node1"), trouble="sshd does not answer")

    assert inspect(state).problems == ("sshd does not answer",)


def test_a_node_without_kube_proxy() -> None:
    seen = inspect(recorded.state("node2", "bare"))

    assert seen.problems == (
        "none of kube-proxy's chains exists: kube-proxy has not been running here",
    )


def test_a_service_without_ports_asks_a_node_for_nothing() -> None:
    seen = nodes.inspect_node("default/headless", (), recorded.state("node2", "bare"))

    assert seen.ports == ()
    assert seen.problems == ()


def test_a_missing_jump() -> None:
    jump = '-A OUTPUT -m addrtype --dst-type LOCAL -m comment --comment "handle service NodePorts; '
    state = recorded.edited("node1", AFTER, (jump, jump.replace("OUTPUT", "INPUT")))

    assert inspect(state).problems == (
        "the jump from OUTPUT to KUBE-NODEPORT-HOST is missing: no packet gets there",
    )


def test_a_missing_chain_and_its_rule() -> None:
    text = recorded.look(AFTER).splitlines()
    rest = "\n".join(line for line in text if "KUBE-NODEPORT-NON-LOCAL" not in line)

    assert inspect(collect.parse_look(recorded.LAB.node("node1"), rest)).problems == (
        "the chain KUBE-NODEPORT-NON-LOCAL does not exist",
        "no rule for spec.ports[0].nodePort in KUBE-NODEPORT-NON-LOCAL",
    )


def test_a_proxy_that_is_dead() -> None:
    state = recorded.edited("node1", AFTER, ("*:40193", "*:40194"))

    seen = inspect(state)

    assert seen.ports[0].listener is None
    assert seen.problems == ("nobody listens on the proxy port 40193/tcp: connections are refused",)


def test_rules_of_an_older_service_are_stale() -> None:
    old = recorded.service(ports=[{"port": 8080, "targetPort": 8080, "nodePort": 30070}])

    seen = inspect(recorded.state("node1", AFTER), *proxying.parse_service(old))

    assert [rule.field for rule in seen.ports[0].rules][2:4] == ["", ""]
    assert seen.problems[:2] == (
        "no rule for spec.ports[0].nodePort in KUBE-NODEPORT-CONTAINER",
        "no rule for spec.ports[0].nodePort in KUBE-NODEPORT-HOST",
    )
    assert seen.problems[2].startswith("stale rule, no field of the Service asks for it: -A KUBE-N")


def test_rules_that_a_field_asks_for_know_the_proxy_port_better_than_stale_ones() -> None:
    stale = (
        '[0:0] -A KUBE-PORTALS-CONTAINER -d 10.96.9.9/32 -p tcp -m comment --comment "default/app1"'
        " -m tcp --dport 8080 -j REDIRECT --to-ports 50000\n"
    )
    first = "[1:60] -A KUBE-PORTALS-CONTAINER"

    seen = inspect(recorded.edited("node1", AFTER, (first, stale + first)))

    assert seen.ports[0].proxy_port == 40193


def test_rules_of_a_port_that_the_service_no_longer_has() -> None:
    seen = nodes.inspect_node("default/app1", (), recorded.state("node1", AFTER))

    assert [(port.name, port.protocol) for port in seen.ports] == [("default/app1", "TCP")]
    assert seen.problems == ("the rules of default/app1 are stale: the Service has no such port",)


def test_a_rule_without_a_port_leads_to_none() -> None:
    assert nodes.proxy_port_of(rules.Rule("KUBE-NODEPORT-NON-LOCAL", "-j ACCEPT")) == 0
    assert nodes.proxy_port_of(rules.Rule("X", "-j DNAT --to-destination 10.0.0.1")) == 0
    assert nodes.proxy_port_of(rules.Rule("X", "-j DNAT --to-destination [fd00::1]:80")) == 80


def test_rules_that_lead_nowhere() -> None:
    """Only the filter rule is left: there is no proxy port to say anything about."""
    text = recorded.look(AFTER).splitlines()
    rest = "\n".join(line for line in text if "default/app1" not in line or "-j ACCEPT" in line)

    seen = inspect(collect.parse_look(recorded.LAB.node("node1"), rest))

    assert seen.ports[0].proxy_port == 0
    assert not any("nobody listens" in problem for problem in seen.problems)
