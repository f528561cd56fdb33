"""The box that labkit builds: machines of it are hosts of their own, and have what a lab needs."""

from __future__ import annotations

import json
import re

import pytest

from labkit import local
from labkit.preflight import packages
from tests.vagrant.typed import Typed

#: Building takes two minutes where it is not cached, booting one; then it ends by itself.
pytestmark = [
    pytest.mark.vagrant,
    pytest.mark.timeout(1800),
    pytest.mark.usefixtures("brought_up"),
]
ADDRESSES = {"control": "192.168.56.10", "node1": "192.168.56.11", "node2": "192.168.56.12"}


@pytest.mark.parametrize("name", ADDRESSES)
def test_each_machine_is_itself(typed: Typed, name: str) -> None:
    assert typed.exec(name, "hostname") == name
    assert ADDRESSES[name] in typed.exec(name, "ip -br -4 address")
    assert typed.exec(name, "id -un") == "root"
    assert typed.exec(name, "systemctl --failed --no-legend") == ""


def test_no_two_machines_share_what_must_be_their_own(typed: Typed) -> None:
    for file in ("/etc/ssh/ssh_host_ed25519_key.pub", "/etc/machine-id"):
        seen = {typed.exec(name, f"cat {file}") for name in ADDRESSES}
        assert len(seen) == len(ADDRESSES)
        assert "" not in seen


def test_they_reach_each_other(typed: Typed) -> None:
    for name in ADDRESSES:
        for address in ADDRESSES.values():
            typed.exec(name, f"ping -c 1 -W 10 {address}")


def test_every_program_of_a_node_is_there(typed: Typed) -> None:
    called = [each for each in packages.PACKAGES if not each.rootless_only]
    names = " ".join(program for each in called for program in each.programs)
    typed.exec("node1", f"for name in {names}; do command -v $name || exit 1; done")


def test_the_kernel_does_what_the_proxy_needs(typed: Typed) -> None:
    rule = "PREROUTING -p tcp --dport 9 -j REDIRECT --to-ports 10"
    script = f"iptables -t nat -A {rule} && conntrack -L && iptables -t nat -D {rule}"
    typed.exec("node1", script)
    made = "ip netns add one && ip link add cbr9 type bridge"
    typed.exec("node1", f"{made} && ip link delete cbr9 && ip netns delete one")


def test_an_emulated_machine_gives_programs_the_same_addresses(typed: Typed) -> None:
    if typed.exec("node1", "systemd-detect-virt") == "qemu":
        assert typed.exec("node1", "cat /proc/sys/kernel/randomize_va_space") == "0"


def test_nothing_of_it_is_seen_from_outside(typed: Typed) -> None:
    outside = local.run(["ip", "-json", "link"]).stdout
    inside = typed.here.run("ip", "-json", "link", timeout_s=10).stdout
    names = {link["ifname"] for link in json.loads(inside)} - {"lo"}
    assert [name for name in names if re.fullmatch(r"(virbr|vnet)\d+", name)]
    assert not names & {link["ifname"] for link in json.loads(outside)}
