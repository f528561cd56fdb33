"""The box that labkit builds: three machines of it boot, answer SSH, and have what a lab needs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labkit import local
from labkit.boxes import catalogue, recipe, store
from labkit.model import events
from labkit.preflight import packages
from tests.vagrant import harness

#: Building takes two minutes where it is not cached, booting one; then it ends by itself.
pytestmark = [pytest.mark.vagrant, pytest.mark.timeout(1500)]
UP_TIMEOUT_S = 420
ADDRESSES = {"control": "192.168.56.10", "node1": "192.168.56.11", "node2": "192.168.56.12"}


@dataclass(frozen=True)
class Machines:
    """Three machines that run. `folder` has their Vagrantfile and OpenSSH's configuration."""

    here: harness.Harness
    folder: Path

    def vagrant(self, *words: str) -> str:
        argv = f"cd {self.folder} && TEST_POOL={self.folder}/pool exec vagrant {' '.join(words)}"
        done = self.here.run("sh", "-c", argv, timeout_s=UP_TIMEOUT_S)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return done.stdout

    def ssh(self, name: str, command: str) -> str:
        config = str(self.folder / "ssh-config")
        done = self.here.run("ssh", "-F", config, name, command, timeout_s=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def box() -> catalogue.Box:
    """Built by the first run, and whenever its recipe has changed."""
    harness.install()
    return store.ensure(recipe.plan("libvirt"), events.Progress(events.ignore, total=4))


@pytest.fixture(scope="module")
def machines(box: catalogue.Box) -> Iterator[Machines]:
    with harness.running() as here:
        folder = here.folder / "machines"
        (folder / "pool").mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("Vagrantfile"), folder)
        made = Machines(here, folder)
        # The catalogue is a file, and there is no way out of the namespace: nothing is downloaded.
        made.vagrant("box", "add", str(store.catalogue_file(box)), "--provider", "libvirt")
        made.vagrant("up")
        (folder / "ssh-config").write_text(made.vagrant("ssh-config"))
        yield made


@pytest.mark.parametrize("name", ADDRESSES)
def test_each_machine_is_itself(machines: Machines, name: str) -> None:
    assert machines.ssh(name, "hostname") == name
    assert ADDRESSES[name] in machines.ssh(name, "ip -br -4 address")
    assert machines.ssh(name, "sudo id -un") == "root"
    assert machines.ssh(name, "systemctl --failed --no-legend") == ""


def test_no_two_machines_share_what_must_be_their_own(machines: Machines) -> None:
    for file in ("/etc/ssh/ssh_host_ed25519_key.pub", "/etc/machine-id"):
        seen = {machines.ssh(name, f"cat {file}") for name in ADDRESSES}
        assert len(seen) == len(ADDRESSES)
        assert "" not in seen


def test_they_reach_each_other(machines: Machines) -> None:
    for name in ADDRESSES:
        for address in ADDRESSES.values():
            machines.ssh(name, f"ping -c 1 -W 10 {address}")


def test_every_program_of_a_node_is_there(machines: Machines) -> None:
    called = [each for each in packages.PACKAGES if not each.rootless_only]
    names = " ".join(program for each in called for program in each.programs)
    machines.ssh("node1", f"sudo sh -c 'for name in {names}; do command -v $name || exit 1; done'")


def test_the_kernel_does_what_the_proxy_needs(machines: Machines) -> None:
    rule = "PREROUTING -p tcp --dport 9 -j REDIRECT --to-ports 10"
    script = f"iptables -t nat -A {rule} && conntrack -L && iptables -t nat -D {rule}"
    machines.ssh("node1", f"sudo sh -c '{script}'")
    machines.ssh("node1", "sudo sh -c 'ip netns add one && ip link add cbr9 type bridge'")


def test_an_emulated_machine_gives_programs_the_same_addresses(machines: Machines) -> None:
    if machines.ssh("node1", "systemd-detect-virt") == "qemu":
        assert machines.ssh("node1", "cat /proc/sys/kernel/randomize_va_space") == "0"


def test_nothing_of_it_is_seen_from_outside(machines: Machines) -> None:
    outside = local.run(["ip", "-json", "link"]).stdout
    inside = machines.here.run("ip", "-json", "link", timeout_s=10).stdout
    names = {link["ifname"] for link in json.loads(inside)} - {"lo"}
    assert [name for name in names if re.fullmatch(r"(virbr|vnet)\d+", name)]
    assert not names & {link["ifname"] for link in json.loads(outside)}


def test_one_is_halted_and_started_while_the_others_go_on(machines: Machines) -> None:
    boots = {name: machines.ssh(name, "cat /proc/sys/kernel/random/boot_id") for name in ADDRESSES}
    machines.vagrant("halt", "node2")
    assert machines.ssh("node1", "hostname") == "node1"
    machines.vagrant("up", "node2")
    now = {name: machines.ssh(name, "cat /proc/sys/kernel/random/boot_id") for name in ADDRESSES}
    assert {name for name in ADDRESSES if boots[name] != now[name]} == {"node2"}


def test_destroyed_means_gone(machines: Machines) -> None:
    machines.vagrant("destroy", "-f")
    assert machines.here.run("virsh", "list", "--all", "--name", timeout_s=10).stdout.strip() == ""
    assert not list((machines.folder / "pool").glob("*node1*"))
