"""Both modes of kube-proxy, read from what real kernels gave back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.inspection import sockets
from labkit.inspection.modes import iptables, report, userspace, values, walk
from labkit.model import rules, ruletext

CASES = Path(__file__).parents[3] / "cases"
CAPTURED = sorted([*CASES.glob("golden/*/*.rules"), *CASES.glob("rules/kube-proxy*.rules")])


def load(name: str) -> rules.Ruleset:
    return ruletext.parse_ruleset((CASES / f"{name}.rules").read_text())


def port(name: str, of: str) -> values.PortRules:
    return next(one for one in iptables.read_ports(load(of)) if one.name == name)


def shares(door: values.Door) -> dict[str, float]:
    return {one.address: round(one.share, 6) for one in door.endpoints}


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_door_of_a_captured_set_leads_somewhere(path: Path) -> None:
    seen = report.inspect_rules(ruletext.parse_ruleset(path.read_text()))
    assert seen.modes == ("userspace" if path.stem == "userspace" else "iptables",)
    assert seen.ports
    assert seen.problems == ()
    for one in seen.ports:
        for door in one.doors:
            assert door.port
            assert door.protocol in ("TCP", "UDP")
            if one.mode == "iptables":
                total = sum(end.share for end in door.endpoints)
                assert total == pytest.approx(1) or door.refused


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_rule_that_names_a_service_is_in_the_report(path: Path) -> None:
    ruleset = ruletext.parse_ruleset(path.read_text())
    seen = report.inspect_rules(ruleset)
    shown = {rule.text for one in seen.ports for rule in one.tree}
    shown |= {door.text for one in seen.ports for door in one.doors}
    for table in ruleset.tables:
        for chain in table.chains:
            for rule in chain.rules:
                marks = rule.spec.endswith("-j KUBE-MARK-MASQ")  # told as a door's `masquerade`
                accepts = table.name == "filter" and chain.name == "KUBE-NODEPORT-NON-LOCAL"
                if "/" in rule.comment.split(" ")[0] and not marks and not accepts:
                    assert rule.text in shown


def test_app1_in_iptables_mode() -> None:
    app1 = port("default/app1", "golden/02-app1-nodeport/iptables")
    cluster, node = app1.doors
    assert (cluster.kind, cluster.dialled) == ("clusterIP", "10.96.20.1:8080")
    assert (node.kind, node.dialled) == ("nodePort", "any address of the node:30062")
    assert cluster.masquerade == "if it does not come from an address of 10.244.0.0/16"
    assert node.masquerade == "always"
    third = pytest.approx(1 / 3, abs=1e-6)
    assert shares(cluster) == dict.fromkeys(
        ("10.244.1.2:8080", "10.244.2.2:8080", "10.244.3.2:8080"), third
    )
    assert cluster.endpoints == node.endpoints


def test_a_load_balancer_that_only_lets_some_in() -> None:
    local = port("default/lbl:http", "rules/kube-proxy-local-affinity")
    assert local.affinity_s == 600
    doors = {door.kind: door for door in local.doors}
    assert shares(doors["clusterIP"]) == {"10.244.0.11:8080": 0.5, "10.244.1.5:8080": 0.5}
    for kind in ("externalIP", "load balancer", "nodePort"):
        assert shares(doors[kind]) == {"10.244.0.11:8080": 1}
    assert doors["load balancer"].when == (
        "comes from an address of 192.168.77.0/24 or comes from 203.0.113.9"
    )
    own = "comes from one of this machine's own addresses"
    assert doors["load balancer"].masquerade == f"if it {own}"
    assert doors["nodePort"].masquerade == f"if it comes from an address of 127.0.0.0/8 or {own}"


def test_affinity_does_not_hide_what_else_reaches_an_endpoint() -> None:
    local = port("default/lbl:http", "rules/kube-proxy-local-affinity")
    rewriting = [one.share for one in local.tree if "DNAT" in one.text]
    assert rewriting == [0.5, 0.5]


def test_chains_for_the_outside() -> None:
    web = port("default/web:http", "rules/kube-proxy-external-chains")
    cluster, node = web.doors
    assert cluster.masquerade == "if it does not come from an address of 10.244.0.0/16"
    assert node.masquerade == "always"
    assert node.leads_to == "KUBE-EXT-CDGGSHYLG3RE2FKL"
    assert list(shares(node).values()) == [pytest.approx(1 / 3, abs=1e-6)] * 3
    local = port("default/lbl:http", "rules/kube-proxy-external-chains")
    assert shares(local.doors[-1]) == {"10.244.0.11:8080": 1}


def test_no_endpoints_at_all() -> None:
    none = port("default/none", "rules/kube-proxy-local-affinity")
    assert [door.kind for door in none.doors] == [
        "clusterIP", "address from outside", "address from outside", "nodePort",
    ]  # fmt: skip
    assert {door.refused for door in none.doors} == {"no endpoints: refused (REJECT)"}
    assert none.tree == ()


def test_no_endpoint_here() -> None:
    text = """\
*nat
:KUBE-MARK-DROP - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-XLB-A - [0:0]
:KUBE-SVC-A - [0:0]
-A KUBE-NODEPORTS -p tcp -m comment --comment "d/a" -m tcp --dport 30000 -j KUBE-XLB-A
-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m comment --comment "d/a cluster IP" --dport 1 -j KUBE-SVC-A
-A KUBE-XLB-A -m comment --comment "d/a has no local endpoints" -j KUBE-MARK-DROP
COMMIT
"""
    one, other = iptables.read_ports(ruletext.parse_ruleset(text))[0].doors
    assert {one.refused, other.refused} == {
        "no endpoint on this node: dropped", "no endpoint behind it",
    }  # fmt: skip


def test_userspace_mode_ends_at_the_proxy() -> None:
    ruleset = load("golden/02-app1-nodeport/userspace")
    held = sockets.Socket("tcp", "*", 40193, "kube-proxy", 7)
    app1 = next(o for o in userspace.read_ports(ruleset, [held]) if o.name == "default/app1")
    assert [door.kind for door in app1.doors] == ["clusterIP or load balancer"] * 2 + [
        "nodePort"
    ] * 2
    assert {door.leads_to for door in app1.doors} == {"proxy port 40193"}
    assert {door.listener for door in app1.doors} == {"kube-proxy (pid 7)"}
    elsewhere = [sockets.Socket("tcp", "*", 22)]
    dead = report.inspect_rules(ruleset, listening=elsewhere)._repr_html_()
    assert "proxy port 40193, where nobody listens" in dead
    alive = report.inspect_rules(ruleset, listening=[held])._repr_html_()
    assert "where kube-proxy (pid 7) listens" in alive


def test_an_external_address_in_userspace_mode_is_known_by_its_conditions() -> None:
    found = userspace.read_ports(load("golden/04-external-lb/userspace"))
    external = [door for one in found for door in one.doors if door.kind == "externalIP"]
    assert external
    assert all(door.when for door in external)


def test_problems_and_choice() -> None:
    ruleset = load("golden/02-app1-nodeport/iptables")
    cut = rules.Ruleset(
        tuple(
            rules.Table(
                table.name,
                tuple(
                    rules.Chain(chain.name, chain.policy, chain.counters) if chain.policy else chain
                    for chain in table.chains
                ),
            )
            for table in ruleset.tables
        )
    )
    seen = report.inspect_rules(cut, service="default/app1")
    assert [one.name for one in seen.ports] == ["default/app1"]
    assert "the jump from PREROUTING to KUBE-SERVICES (nat) is missing" in seen.problems[0]
    assert report.inspect_rules(rules.Ruleset()).modes == ()
    other = load("golden/02-app1-nodeport/userspace")
    merged = rules.Table("nat", other.tables[0].chains + ruleset.tables[0].chains)
    mixed = report.inspect_rules(rules.Ruleset((merged,)))
    assert "rules of both modes at once" in mixed.problems[0]


def test_text_html_and_json_say_the_same() -> None:
    seen = report.inspect_rules(load("rules/kube-proxy-local-affinity"), name="node9")
    text = " ".join(repr(seen).split())
    as_json = seen.to_json()
    assert as_json["schema"] == "labkit.dev/rules-inspection"
    for fact in ("keeps its pod for 600 s", "10.244.1.5:8080", "no endpoints: refused", "node9"):
        assert fact in text
        assert fact in seen._repr_html_()
    assert as_json["ports"][1]["doors"][0]["endpoints"][0]["share"] == pytest.approx(0.5)


@given(st.integers(1, 60))
def test_equal_shares_come_out_of_the_unequal_numbers(count: int) -> None:
    chains = {
        "SVC": tuple(
            rules.Rule(
                "SVC",
                f"-m statistic --mode random --probability {1 / (count - i):.10f} -j SEP{i}"
                if count - i > 1
                else f"-j SEP{i}",
            )
            for i in range(count)
        )
    } | {f"SEP{i}": (rules.Rule(f"SEP{i}", f"-j DNAT --to-destination {i}"),) for i in range(count)}
    walked = walk.Walk(chains)
    assert walked.follow("SVC") == 0
    assert len(walked.endpoints) == count
    for end in walked.endpoints:
        assert end.share == pytest.approx(1 / count, abs=1e-6)


@pytest.mark.parametrize(
    ("spec", "chance"),
    [
        ("-j X", 1),
        ("-m statistic --mode nth --every 4 --packet 0 -j X", 0.25),
        ("-m statistic --mode nth --every 0 -j X", None),
        ("-m statistic --mode random -j X", None),
        ("-s 10.0.0.1/32 -j X", None),
        ("-p tcp -m tcp -j X", 1),
        ("-p tcp -m tcp --dport 3 -j X", None),
        ("-m recent --set --name a -j X", 1),
        ("-m recent --rcheck --name a -j X", None),
    ],
)
def test_what_part_of_the_packets_a_rule_takes(spec: str, chance: float | None) -> None:
    assert walk.chance_of(rules.Rule("A", spec)) == chance


def test_returns_ends_and_jumps_for_good() -> None:
    chains = {
        "A": (rules.Rule("A", "-j B"), rules.Rule("A", ""), rules.Rule("A", "-j D")),
        "B": (rules.Rule("B", "-j RETURN"), rules.Rule("B", "-j DROP")),
        "D": (rules.Rule("D", "-g E"), rules.Rule("D", "-j DROP")),
        "E": (rules.Rule("E", "-j MARK --set-xmark 0x1/0x1"), rules.Rule("E", "-j DROP")),
    }
    assert walk.Walk(chains).follow("A") == 0
    assert walk.Walk(chains).follow("B") == 1


def test_rules_of_nobody_s_service_are_no_doors() -> None:
    text = """\
*nat
:KUBE-PORTALS-HOST - [0:0]
-A KUBE-PORTALS-HOST -p tcp -m comment --comment mine -m tcp --dport 1 -j REDIRECT --to-ports 2
COMMIT
*filter
:KUBE-SERVICES - [0:0]
-A KUBE-SERVICES -m comment --comment "no service" -j REJECT
-A KUBE-SERVICES -m comment --comment "d/a has no endpoints" -j ACCEPT
COMMIT
"""
    ruleset = ruletext.parse_ruleset(text)
    assert userspace.read_ports(ruleset) == ()
    assert iptables.read_ports(ruleset) == ()
