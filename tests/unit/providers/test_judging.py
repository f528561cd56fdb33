"""What this machine has for Vagrant's machines, and what that means for a lab."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Interface
from typing import Any

import pytest

from labkit.model import spec
from labkit.preflight.findings import Finding, worst
from labkit.providers import base
from labkit.providers.vagrant import judging, machines, survey

BOX = survey.Box("cloud-image/debian-12", "libvirt", "20250210.0.0", "amd64")
GOOD = survey.Facts(
    system="Linux",
    architecture="amd64",
    vagrant=True,
    software=frozenset({"libvirt"}),
    plugins=frozenset({"vagrant-libvirt"}),
    kvm="usable",
    boxes=(BOX,),
    addresses=(("eth0", IPv4Interface("192.0.2.7/24")),),
    memory_mib=16384,
    disk_mib=2**20,
)
MAC = dataclasses.replace(
    GOOD, system="macOS", architecture="arm64", kvm=None, memory_mib=None, addresses=()
)
LAB = spec.plan(provider="vagrant")


def bad(lab: spec.LabSpec = LAB, facts: survey.Facts = GOOD, **differs: Any) -> dict[str, Finding]:
    found = judging.judge(dataclasses.replace(facts, **differs), lab)
    return {finding.id: finding for finding in found if not finding.ok}


def wants(**what: Any) -> spec.LabSpec:
    return spec.plan(provider="vagrant", vagrant=spec.VagrantSpec(**what))


def test_a_machine_that_has_all_of_it() -> None:
    found = judging.judge(GOOD, LAB)
    assert worst(found) == "fine"
    assert found[0].what == "Vagrant makes the machines by libvirt (Linux, amd64)"


@pytest.mark.parametrize(
    ("system", "how"), [("Linux", "apt-get"), ("macOS", "brew"), ("Windows", "winget")]
)
def test_no_vagrant(system: str, how: str) -> None:
    found = bad(vagrant=False, system=system)["vagrant"]
    assert (found.verdict, found.what) == ("blocked", "Vagrant is not installed")
    assert how in found.fix


def test_no_provider() -> None:
    found = bad(software=frozenset())["vagrant-provider"]
    assert (found.verdict, "no provider" in found.what) == ("blocked", True)
    assert "libvirt-daemon-system" in found.fix


def test_the_provider_that_is_wanted_is_not_here() -> None:
    found = bad(wants(provider="virtualbox"))["vagrant-provider"]
    assert (found.verdict, found.what) == ("blocked", "virtualbox is not installed")


def test_a_provider_of_another_system() -> None:
    found = bad(wants(provider="libvirt"), MAC)["vagrant-provider"]
    assert found.what == "libvirt does not run here (macOS, arm64)"
    assert "parallels" in found.fix
    assert "hyperv" not in found.fix


@pytest.mark.parametrize("provider", judging.PLUGINS)
def test_a_plugin_is_missing(provider: str) -> None:
    system = judging.SYSTEMS[provider][0]
    found = bad(
        wants(provider=provider),
        system=system,
        software=frozenset({provider}),
        plugins=frozenset(),
    )["vagrant-plugin"]
    assert found.verdict == "blocked"
    assert found.fix == f"vagrant plugin install {judging.PLUGINS[provider]}"


def test_every_provider_that_a_lab_file_can_name_is_known() -> None:
    assert judging.SYSTEMS.keys() == machines.PROGRAMS.keys()


@pytest.mark.parametrize(("kvm", "fix"), [("absent", "firmware"), ("forbidden", "usermod -aG kvm")])
def test_without_virtualisation_libvirt_emulates(kvm: str, fix: str) -> None:
    found = bad(kvm=kvm)["virtualisation"]
    assert (found.verdict, "libvirt emulates" in found.what) == ("warning", True)
    assert fix in found.fix


def test_containers_need_no_virtualisation() -> None:
    lxc = frozenset({"lxc"})
    found = bad(kvm="absent", software=lxc, plugins=frozenset({"vagrant-lxc"}))
    assert "virtualisation" not in found
    assert found.keys() == {"box"}


def test_the_box_is_not_here() -> None:
    found = bad(boxes=())["box"]
    assert (found.verdict, "cloud-image/debian-12" in found.what) == ("warning", True)
    assert "labkit box build --provider libvirt" in found.fix
    assert "box" in bad(wants(box="mine"))
    assert "box" in bad(wants(box_version="1"))


def test_the_box_is_for_another_processor() -> None:
    found = bad(architecture="arm64")["box"]
    assert found.verdict == "blocked"
    assert "is for amd64; this machine is arm64" in found.what
    assert "--architecture arm64" in found.fix


def test_the_usual_boxes_are_those_of_the_vagrantfile() -> None:
    text = machines.read_vagrantfile()
    names = {name: judging.default_box(text, name) for name in ("lxc", "virtualbox", "hyperv")}
    assert names == {
        "lxc": "labkit/node",
        "virtualbox": "bento/debian-12",
        "hyperv": "generic/debian12",
    }


def test_a_network_that_clashes() -> None:
    found = bad(addresses=(("wlan0", IPv4Interface("192.168.56.9/24")),))["machine-network"]
    assert found.verdict == "blocked"
    assert "192.168.56.0/24 clashes with 192.168.56.9/24 on wlan0" in found.what
    assert "[network] machines" in found.fix


LEARNER = IPv4Interface("192.168.56.1/24")


@pytest.mark.parametrize("link", ["virbr1", "bridge0", "vboxnet0", "docker0"])
def test_a_network_that_another_program_made_clashes_too(link: str) -> None:
    assert f"on {link}" in bad(addresses=((link, LEARNER),))["machine-network"].what


def test_the_link_to_the_labs_own_machines_is_no_clash() -> None:
    states: dict[str, base.MachineState] = {"control": "running"}
    facts = dataclasses.replace(GOOD, addresses=(("virbr1", LEARNER),))
    assert worst(judging.judge(facts, LAB, states)) == "fine"
    other = dataclasses.replace(facts, addresses=(("docker0", LEARNER),))
    assert worst(judging.judge(other, LAB, states)) == "blocked"


def test_virtualbox_has_one_network_for_all_labs() -> None:
    for address, clashes in ((LEARNER, False), (IPv4Interface("192.168.56.7/16"), True)):
        found = bad(software=frozenset({"virtualbox"}), addresses=(("vboxnet0", address),))
        assert ("machine-network" in found) is clashes


def test_machines_that_run_have_their_memory_and_those_that_are_made_their_disk() -> None:
    facts = dataclasses.replace(GOOD, memory_mib=1024, disk_mib=1024)
    states: dict[str, base.MachineState] = {"control": "running", "node1": "stopped"}
    found = {each.id: each.what for each in judging.judge(facts, LAB, states) if not each.ok}
    assert found == {"memory": "2 machines take 2048 MiB of memory, and 1024 MiB are free"}
    assert worst(judging.judge(facts, LAB, states | {"node1": "running"})) == "fine"


def test_too_little_memory_and_disk() -> None:
    found = bad(memory_mib=100, disk_mib=100)
    assert {name: each.verdict for name, each in found.items()} == {
        "memory": "blocked",
        "vagrant-disk": "blocked",
    }
    assert "100 MiB are free" in found["memory"].what
    assert "100 MiB are free" in found["vagrant-disk"].what


def test_what_vagrant_and_ip_print() -> None:
    plugins = survey.parse_plugins(
        ["vagrant-libvirt (0.11.2, system)", "  - Version Constraint: 0.11.2", "No plugins."]
    )
    assert plugins == {"vagrant-libvirt"}
    assert tuple(
        survey.parse_boxes(
            [
                "cloud-image/debian-12 (libvirt, 20250210.0.0, (amd64))",
                "labkit/node           (lxc, 1)",
                "There are no installed boxes!",
            ]
        )
    ) == (BOX, survey.Box("labkit/node", "lxc", "1"))
    links = (
        '[{"ifname": "eth0", "addr_info": [{"local": "192.0.2.7", "prefixlen": 24}]},'
        ' {"ifname": "virbr1", "addr_info": [{"local": "192.168.56.1", "prefixlen": 24}]}]'
    )
    assert survey.parse_addresses(links) == (*GOOD.addresses, ("virbr1", LEARNER))
    assert survey.parse_addresses("") == ()
