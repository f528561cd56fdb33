"""The chain tables, and the rules that a Service's portals get: US-20 to US-28."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.model import portals, proxying, rules, ruletext

GOLDEN = Path(__file__).parents[2] / "cases" / "golden"
SETS = sorted(path.name for path in GOLDEN.iterdir())
ANY = ipaddress.ip_address("0.0.0.0")
HOST = ipaddress.ip_address("192.168.56.11")
KUBERNETES: dict[str, Any] = {
    "kind": "Service",
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]},
}
NAME = proxying.ServicePortName("default", "web", "http")
CLUSTER_IP = ipaddress.ip_address("10.96.0.10")


def captured(name: str) -> rules.Ruleset:
    return ruletext.parse_ruleset((GOLDEN / name / "userspace.rules").read_text())


def proxy_ports(ruleset: rules.Ruleset) -> dict[str, int]:
    """The proxy port of each service port, by the comment: REDIRECT says it."""
    return {
        rule.comment: int(port)
        for chain in portals.CHAINS
        for rule in ruleset.rules(chain.table, chain.name)
        if rule.target and rule.target.name == "REDIRECT"
        for port in rule.target.options[0].values
    }


def by_chain_and_comment(found: list[rules.Rule]) -> dict[tuple[str, str], list[str]]:
    """Between Services any order will do; within one service port in one chain only one."""
    grouped = defaultdict(list)
    for rule in found:
        grouped[rule.chain, rule.comment].append(rule.spec)
    return grouped


@pytest.mark.parametrize("name", SETS)
def test_US_24_to_28_portal_rules_are_those_that_kube_proxy_wrote(name: str) -> None:
    ruleset = captured(name)
    ports = proxy_ports(ruleset)
    objects = [KUBERNETES, *yaml.safe_load_all((GOLDEN / name / "objects.yaml").read_text())]
    planned = [
        planned.rule
        for obj in objects
        if obj and obj["kind"] == "Service"
        if "service.kubernetes.io/service-proxy-name" not in obj["metadata"].get("labels", {})
        for port in proxying.parse_service(obj)
        for planned in portals.plan_portal(port, ports[str(port.name)], listen_ip=ANY, host_ip=HOST)
    ]
    written = [rule for chain in portals.CHAINS for rule in ruleset.rules(chain.table, chain.name)]
    assert by_chain_and_comment(planned) == by_chain_and_comment(written)


@pytest.mark.parametrize("name", SETS)
def test_US_21_jumps_are_those_that_kube_proxy_wrote(name: str) -> None:
    ruleset = captured(name)
    for chain in portals.CHAINS:
        hook = ruleset.rules(chain.table, chain.hook)
        assert chain.jump in hook
        place = 0 if chain.position == "first" else len(hook) - 1
        assert hook[place] == chain.jump


def test_US_20_there_are_five_chains_each_with_one_sentence_about_who_reaches_it() -> None:
    assert [(chain.table, chain.name) for chain in portals.CHAINS] == [
        ("nat", "KUBE-PORTALS-CONTAINER"),
        ("nat", "KUBE-PORTALS-HOST"),
        ("nat", "KUBE-NODEPORT-CONTAINER"),
        ("nat", "KUBE-NODEPORT-HOST"),
        ("filter", "KUBE-NODEPORT-NON-LOCAL"),
    ]
    for chain in portals.CHAINS:
        assert chain.reached_by.startswith("Packets ")
        assert chain.reached_by.endswith(".")
        assert chain.reached_by.count(". ") == 0
        assert portals.chain(chain.name) is chain
    assert portals.chain("DOCKER") is None


def test_US_22_service_addresses_are_asked_for_before_nodePorts() -> None:
    for hook in ("PREROUTING", "OUTPUT"):
        first, last = [chain for chain in portals.CHAINS if chain.hook == hook]
        assert first.name.startswith("KUBE-PORTALS")
        assert (first.position, last.position) == ("first", "last")


def test_US_25_a_listen_address_of_its_own_is_the_target_of_both_sides() -> None:
    port = proxying.ServicePort(NAME, "TCP", 80, CLUSTER_IP)
    planned = portals.plan_portal(port, 35715, listen_ip=HOST, host_ip=HOST)
    assert {entry.rule.value("--to-destination") for entry in planned} == {"192.168.56.11:35715"}


def test_US_25_IPv6_destinations_are_written_in_brackets() -> None:
    address = ipaddress.ip_address("2001:db8::10")
    port = proxying.ServicePort(NAME, "UDP", 53, address)
    [container, host] = portals.plan_portal(
        port, 35715, listen_ip=ipaddress.ip_address("::"), host_ip=ipaddress.ip_address("fd00::1")
    )
    assert container.rule.value("-d") == "2001:db8::10/128"
    assert host.rule.value("--to-destination") == "[fd00::1]:35715"


def test_US_26_every_rule_tells_the_field_that_it_comes_from() -> None:
    port = proxying.ServicePort(
        NAME,
        "TCP",
        80,
        CLUSTER_IP,
        external_ips=(ipaddress.ip_address("192.0.2.1"),),
        ingress_ips=(ipaddress.ip_address("192.0.2.9"),),
        node_port=30080,
    )
    planned = portals.plan_portal(port, 35715, listen_ip=ANY, host_ip=HOST)
    assert [(entry.service_field, entry.rule.chain) for entry in planned] == [
        ("spec.clusterIP", "KUBE-PORTALS-CONTAINER"),
        ("spec.clusterIP", "KUBE-PORTALS-HOST"),
        ("spec.externalIPs", "KUBE-PORTALS-CONTAINER"),
        ("spec.externalIPs", "KUBE-PORTALS-CONTAINER"),
        ("spec.externalIPs", "KUBE-PORTALS-HOST"),
        ("status.loadBalancer.ingress", "KUBE-PORTALS-CONTAINER"),
        ("status.loadBalancer.ingress", "KUBE-PORTALS-HOST"),
        ("spec.ports.nodePort", "KUBE-NODEPORT-CONTAINER"),
        ("spec.ports.nodePort", "KUBE-NODEPORT-HOST"),
        ("spec.ports.nodePort", "KUBE-NODEPORT-NON-LOCAL"),
    ]
    assert planned[-1].table == "filter"
    assert planned[-1].rule.value("--dport") == "35715"


def test_an_address_of_the_other_family_costs_a_service_nothing_else() -> None:
    """kube-proxy gave up at an IPv6 externalIP and never opened the nodePort (US-29, S-26)."""
    port = proxying.ServicePort(
        NAME,
        "TCP",
        80,
        CLUSTER_IP,
        external_ips=(ipaddress.ip_address("2001:db8::1"),),
        node_port=30080,
    )
    planned = portals.plan_portal(port, 35715, listen_ip=ANY, host_ip=HOST)
    assert {entry.service_field for entry in planned} == {"spec.clusterIP", "spec.ports.nodePort"}
