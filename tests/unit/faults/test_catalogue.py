"""Each fault, planned on a lab that is only described: what it does, and that its undo is one."""

from __future__ import annotations

import copy
import dataclasses
import json
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labkit import errors, faults
from labkit.deploy import certificates
from labkit.faults import facts, fault
from labkit.model import example, portals, proxying, rules, spec

CLUSTER_IP = "10.96.20.1"
PROXY_PORT = 40193
LAB = spec.plan()


def describe(
    tmp_path: Path, node: str = "node1", *, homes: str = "node1 node2 node1"
) -> facts.Facts:
    service = copy.deepcopy(example.SERVICE)
    service["spec"]["clusterIP"] = CLUSTER_IP
    (port,) = proxying.parse_service(service)
    place = LAB.node(node)
    planned = portals.plan_portal(
        port, PROXY_PORT, listen_ip=IPv4Address("0.0.0.0"), host_ip=place.address
    )
    chains = [
        rules.Chain(
            chain.name, rules=tuple(one.rule for one in planned if one.rule.chain == chain.name)
        )
        for chain in portals.CHAINS
        if chain.table == "nat"
    ]
    hooks = [
        rules.Chain(
            hook,
            "ACCEPT",
            rules=tuple(
                each.jump for each in portals.CHAINS if (each.table, each.hook) == ("nat", hook)
            ),
        )
        for hook in ("PREROUTING", "OUTPUT")
    ]
    pods = []
    for number, home in enumerate(homes.split(), 1):
        network = LAB.node(home).pod_network
        assert network
        obj = {**example.pod(number), "status": {"podIP": str(network[number + 1])}}
        pods.append(facts.PodFact(f"app1-{number}", home, str(network[number + 1]), obj))
    authority = certificates.make_authority("test")
    for name, text in zip(("ca.crt", "ca.key"), authority, strict=True):
        (tmp_path / name).write_text(text)
    nat = rules.Table("nat", (*hooks, *chains))
    return facts.Facts(LAB, place, service, tuple(pods), rules.Ruleset((nat,)), tmp_path)


def plan(name: str, tmp_path: Path, node: str = "node1") -> fault.Change:
    return faults.find(name).plan(describe(tmp_path, node))


def test_there_are_enough_in_every_layer_and_each_says_what_it_is() -> None:
    assert len(faults.FAULTS) >= 20
    assert {one.layer for one in faults.FAULTS.values()} == set(fault.LAYERS)
    for one in faults.FAULTS.values():
        assert not one.title.endswith(".")
        assert one.symptom.endswith(".")
        assert one.cause.endswith((".", ")"))
        assert one.bound == ("cluster" if one.layer == "objects" else "node")


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_plan_touches_only_its_node_and_can_be_typed(name: str, tmp_path: Path) -> None:
    change = plan(name, tmp_path, "node2" if faults.find(name).bound == "node" else "node1")
    assert change.do
    assert change.undo
    assert change.asks
    place = "" if faults.find(name).bound == "cluster" else "node2"
    assert {step.on for step in (*change.do, *change.undo)} == {place}
    for step in (*change.do, *change.undo):
        assert step.line.split()[0] in ("labkit", "printf")
        assert len(step.line) < 3000
        if not place and step.stdin:
            json.loads(step.stdin)
    for ask in change.asks:
        assert ask.url.startswith("http://")
        assert LAB.node(ask.machine)


@pytest.mark.parametrize("name", [one.id for one in faults.FAULTS.values() if one.layer == "rules"])
def test_a_fault_in_the_rules_touches_none_of_kube_proxys_own_by_itself(
    name: str, tmp_path: Path
) -> None:
    """What it takes from there, its rival takes again whenever kube-proxy has mended it."""
    change = plan(name, tmp_path)
    ours = {chain.name for chain in portals.CHAINS}
    for step in change.do:
        told = {*step.argv, *step.stdin.split()} & ours
        assert not told or "rival" in step.argv


def test_undoing_a_missing_jump_puts_it_at_its_old_place(tmp_path: Path) -> None:
    (_, put) = plan("missing-jump", tmp_path).undo
    assert put.argv[4:6] == ("PREROUTING", "2")
    assert put.argv[-1] == "KUBE-NODEPORT-CONTAINER"


def test_undoing_a_flush_writes_the_rules_that_were_there(tmp_path: Path) -> None:
    (_, put) = plan("flushed-chain", tmp_path).undo
    assert f"-d {CLUSTER_IP}/32" in put.stdin
    assert f"--to-ports {PROXY_PORT}" in put.stdin
    assert put.stdin.startswith("*nat\n-A KUBE-PORTALS-CONTAINER")


def test_pods_are_made_again_as_they_were_written(tmp_path: Path) -> None:
    change = plan("pod-not-ready", tmp_path)
    made = [json.loads(step.stdin) for step in change.undo if step.argv[0] == "create"]
    assert made == [example.pod(number) for number in (1, 2, 3)]


def test_the_certificate_has_expired(tmp_path: Path) -> None:
    from cryptography import x509

    from labkit.client import config

    text = plan("certificate-expired", tmp_path).do[0].stdin
    shown = x509.load_pem_x509_certificate(config.parse_kubeconfig(text).cert_pem.encode())
    assert shown.not_valid_after_utc < shown.not_valid_before_utc.now(
        shown.not_valid_after_utc.tzinfo
    )


def test_a_lab_without_an_authority_of_its_own_has_no_certificates_to_expire(
    tmp_path: Path,
) -> None:
    found = dataclasses.replace(describe(tmp_path), pki=tmp_path / "none")
    with pytest.raises(errors.NotSupported, match="certificate authority"):
        faults.find("certificate-expired").plan(found)


@pytest.mark.parametrize(
    ("name", "homes", "said"),
    [
        ("input-drop", "node2 node2", "on node1"),
        ("route-missing", "node1 node1", "anywhere but on node1"),
        ("wrong-pod-address", "", "on node1"),
        ("endpoint-blackholed", "", "anywhere"),
        ("lost-label", "", "anywhere"),
        ("pod-not-ready", "", "anywhere"),
    ],
)
def test_a_fault_that_needs_a_pod_says_so(name: str, homes: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match=said) as refused:
        faults.find(name).plan(describe(tmp_path, homes=homes))
    assert refused.value.hint


def test_a_service_without_a_node_port_cannot_lose_it(tmp_path: Path) -> None:
    found = describe(tmp_path)
    del found.service["spec"]["ports"][0]["nodePort"]
    for name in ("dead-redirect", "node-port-taken", "missing-jump"):
        with pytest.raises(errors.UsageError, match="no nodePort"):
            faults.find(name).plan(found)


def test_an_unknown_fault_suggests_one() -> None:
    with pytest.raises(errors.NothingMatched, match="proxy-hang'") as refused:
        faults.find("proxy-hang")
    assert "proxy-hung" in refused.value.hint
