"""What is compared before and after a fault, and what may differ."""

from __future__ import annotations

import pytest

from labkit.faults import look

JUMP = (
    '-A KUBE-PORTALS-CONTAINER -d 10.96.20.1/32 -p tcp -m comment --comment "default/app1" -m tcp'
)
RULES = (
    f"{JUMP} --dport 8080 -j REDIRECT --to-ports 40193",
    (
        '-A KUBE-PORTALS-HOST -p tcp -m comment --comment "default/web:http" -m tcp --dport 8080 '
        "-j DNAT --to-destination 192.168.56.11:40200"
    ),
    (
        '-A KUBE-NODEPORT-NON-LOCAL -p tcp -m comment --comment "default/app1" -m tcp '
        "--dport 40193 -m state --state NEW -j ACCEPT"
    ),
)


def test_what_is_alike_has_no_differences_and_what_is_not_is_told_with_its_place() -> None:
    before = {"node1": ("boot 7", *RULES)}
    assert look.differences(before, before) == ()
    assert look.differences(before, {"node1": ("boot 7", *RULES[:2], "-P INPUT DROP")}) == (
        f"node1: -{RULES[2]}",
        "node1: +-P INPUT DROP",
    )


def test_the_order_of_rules_counts() -> None:
    after = {"node1": tuple(reversed(RULES))}
    assert look.differences({"node1": RULES}, after)


def test_a_node_that_was_started_anew_is_another_one() -> None:
    assert not look.differences({"node1": ("boot 7", "a")}, {"node1": ("boot 8", "b")})
    assert look.differences({"node1": ("boot 7", "a")}, {"node1": ("boot 7", "b")})


def test_proxy_ports_may_be_drawn_anew_where_that_is_said() -> None:
    after = tuple(line.replace("40193", "41000").replace("40200", "40193") for line in RULES)
    assert look.differences({"node1": RULES}, {"node1": after})
    assert not look.differences({"node1": RULES}, {"node1": after[::-1]}, ("ports",))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--dport 8080", "--dport 8081"),
        ("-j REDIRECT --to-ports 40193", "-j REDIRECT --to-ports 40194"),
        ("--dport 40193", "--dport 40194"),
    ],
)
def test_a_rule_that_leads_elsewhere_is_told_even_then(old: str, new: str) -> None:
    after = tuple(line.replace(old, new) for line in RULES)
    found = look.differences({"node1": RULES}, {"node1": after}, ("ports",))
    # One rule of a Service that leads elsewhere than its others.
    assert found


def test_pods_that_were_made_anew_may_have_other_addresses() -> None:
    before = {"node1": ("a", "pod default_app1-1 2: eth0 inet 10.244.1.2/24")}
    after = {"node1": ("a", "pod default_app1-1 2: eth0 inet 10.244.1.9/24")}
    assert look.differences(before, after)
    assert not look.differences(before, after, ("pods",))
