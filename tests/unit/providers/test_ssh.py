"""What is found on a host, and why it will not do: each check from the probe's words alone."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from labkit import errors
from labkit.model import spec
from labkit.providers.ssh import checks, hostkeys, survey

LAB = spec.plan(
    provider="ssh",
    hosts=(
        spec.HostSpec("control", "192.0.2.10", "control-plane"),
        spec.HostSpec("node1", "192.0.2.11"),
    ),
)
TEXT = """\
uid 0
clock 1000
python 3.11
iptables iptables v1.8.9 (nf_tables)
address 127.0.0.1/8
address 192.0.2.10/24
route default
route 192.0.2.0/24
route 192.0.2.77
listens 22
"""
GOOD = survey.parse_survey(TEXT)


def said(**changes: object) -> list[str]:
    found = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]
    told = checks.check_host(LAB, LAB.control, found, mark="mine", now=1000.0)
    return [str(each) for each in told]


def test_a_probe_is_read() -> None:
    assert GOOD.addresses == (IPv4Interface("127.0.0.1/8"), IPv4Interface("192.0.2.10/24"))
    assert GOOD.routes == (IPv4Network("192.0.2.0/24"), IPv4Network("192.0.2.77/32"))
    assert GOOD.listens == {22}
    marked = survey.parse_survey(TEXT + "left /etc/labkit\nmark-id abc\nmark-lab one\n")
    assert (marked.mark, marked.lab, marked.taken) == ("abc", "one", ("/etc/labkit",))


def test_a_good_host_has_no_findings() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"uid": 1000}, "as uid 1000, not as root"),
        ({"python": "3.9"}, "is Python 3.9; 3.11 or later is needed"),
        ({"python": ""}, "python3 is missing"),
        ({"lacks": ("iptables", "conntrack")}, "has no iptables, conntrack"),
        ({"kernel": "Operation not permitted"}, "nat rule: Operation not permitted"),
        ({"addresses": (IPv4Interface("192.0.2.9/24"),)}, "no address 192.0.2.10, only 192.0.2.9"),
        ({"clock": 940}, "its clock is 60 s behind"),
        ({"clock": 1060}, "its clock is 60 s ahead"),
        ({"taken": ("cbr0", "KUBE-SERVICES")}, "has already cbr0, KUBE-SERVICES"),
        ({"listens": frozenset({22, 6443, 10250})}, "listens on port 6443, 10250"),
        ({"routes": (IPv4Network("10.0.0.0/8"),)}, "a route to 10.0.0.0/8, which overlaps"),
        ({"mark": "other", "lab": "two"}, "the mark of another lab, two (other)"),
    ],
)
def test_each_check(changes: dict[str, object], words: str) -> None:
    told = said(**changes)
    assert words in told[0]
    assert told[0].startswith("control: ")


def test_what_a_lab_made_is_not_in_its_own_way() -> None:
    own = {"taken": ("cbr0",), "listens": frozenset({6443}), "routes": (LAB.pod_network,)}
    assert said(mark="mine", lab="lab", **own) == []


def test_all_findings_of_all_hosts_are_said_at_once() -> None:
    on_node1 = (IPv4Interface(f"{IPv4Address('192.0.2.11')}/24"),)
    surveys = {
        "control": dataclasses.replace(GOOD, uid=1, python="3.9"),
        "node1": dataclasses.replace(GOOD, addresses=on_node1, clock=0),
    }
    told = checks.plan_findings(LAB, surveys, mark="mine", now=1000.0)
    with pytest.raises(errors.NotSupported) as caught:
        checks.raise_findings(told)
    assert len(told) == str(caught.value).count("\n") == 3
    checks.raise_findings(())


def test_another_labs_host_is_a_conflict() -> None:
    found = dataclasses.replace(GOOD, mark="other", lab="two", uid=1)
    told = checks.plan_findings(LAB, {"control": found}, mark="mine", now=1000.0)
    with pytest.raises(errors.Busy, match="control: bears the mark of another lab, two") as caught:
        checks.raise_findings(told)
    assert caught.value.exit_code == 7


def test_the_best_of_the_known_keys_is_taken() -> None:
    text = "# Host h found: line 1\nh ssh-rsa AAAAr\n|1|x|y ssh-ed25519 AAAAe comment\n"
    assert hostkeys.parse_found(text) == "ssh-ed25519 AAAAe"
    assert hostkeys.parse_found("h ssh-dss AAAA\n@revoked h ssh-rsa AAAA\n") == ""
