"""Hosts that exist already: bare namespace machines with an sshd play them.

Commands run where the learner's machine is in that network, so the whole way is the real one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from labkit import errors, paths
from labkit.model import spec
from labkit.providers import base
from labkit.providers.ssh import provider
from tests.contracts import provider as contract
from tests.netns import command, test_provider

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

NAMES = ("control", "node1", "node2")
#: Rules, addresses, routes, namespaces, settings, processes, and every file with its time. The
#: chains that iptables itself has may be there, empty.
LOOK = r"""
iptables-save | grep '^-A\|^:[^ ]* -'
ip -o link | sed 's/@.*//' | cut -d: -f2
ip -o -4 address | cut -d' ' -f2-8
ip -4 route show table all
ip -6 route show table all | grep -v ' fe80::\|ff00::\|^fe80' # the kernel's own, in its own time
ip rule
ip netns
cat /proc/sys/net/ipv4/ip_forward
cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null
for each in /proc/[0-9]*; do
    line=$(tr '\0' ' ' <$each/cmdline 2>/dev/null)
    case $line in *labkit* | *.pyz*) echo "process $line" ;; esac
done | grep -v 'for each'
find /etc /var /run /tmp /root ! -type d ! -name sshd.log -printf '%p %T@\n' 2>/dev/null | sort
find /etc /var /run /tmp /root -type d 2>/dev/null | sort
true
"""


@pytest.fixture
def hosts(home: Path) -> Iterator[contract.Lab]:
    """Three machines that no lab has; they do not forward, as hosts do not."""
    made = test_provider.make("h", clients=0)
    made.provider.ensure(contract.progress())
    for name in NAMES:
        contract.said(made, name, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
    yield made
    made.provider.purge()


def lent(hosts: contract.Lab) -> tuple[spec.HostSpec, ...]:
    return tuple(
        spec.HostSpec(
            node.name,
            str(node.address),
            node.role,
            key=str(hosts.paths.private_key),
            host_key=hosts.provider.endpoint(node.name).host_key,
        )
        for node in hosts.spec.nodes
    )


def write_lab_file(
    hosts: contract.Lab, folder: Path, name: str, *, of: Sequence[str] = NAMES, user: str = "root"
) -> None:
    lines = [f'name = "{name}"', 'provider = "ssh"']
    for host in lent(hosts):
        if host.name in of:
            lines += ["[[hosts]]", f'address = "{host.address}"', f'name = "{host.name}"']
            lines += [f'key = "{host.key}"', f'host_key = "{host.host_key}"', f'user = "{user}"']
    folder.mkdir(exist_ok=True)
    (folder / "labkit.toml").write_text("\n".join(lines))


def labkit(hosts: contract.Lab, folder: Path, *words: str) -> command.Done:
    home = hosts.paths.state.parents[2]
    return command.Shell(home, folder, hosts.provider.within(())).labkit(*words)


def look(hosts: contract.Lab, name: str) -> list[str]:
    return contract.said(hosts, name, "sh", "-c", LOOK).splitlines()


def test_a_lab_on_hosts_answers_and_leaves_them_as_it_found_them(
    hosts: contract.Lab, tmp_path: Path
) -> None:
    write_lab_file(hosts, tmp_path / "one", "one")
    write_lab_file(hosts, tmp_path / "two", "two")
    before = {name: look(hosts, name) for name in NAMES}
    up = labkit(hosts, tmp_path / "one", "up")
    assert up.status == 0, up
    assert "5 of 5 requests" in up.stdout
    again = labkit(hosts, tmp_path / "one", "up")
    assert again.status == 0, again
    shown = labkit(hosts, tmp_path / "one", "inspect", "app1", "--node", "node2")
    assert "KUBE-NODEPORT-CONTAINER" in shown.stdout, shown
    other = labkit(hosts, tmp_path / "two", "up")
    other.refused(7, "LK-BUSY", "control: bears the mark of another lab, one", "node2: bears")
    stopped = labkit(hosts, tmp_path / "one", "stop", "node1")
    stopped.refused(5, "LK-NOT-SUPPORTED", "cannot stop node1")
    during = look(hosts, "node1")
    assert "/var/lib/labkit.mark" in " ".join(during)
    down = labkit(hosts, tmp_path / "one", "down")
    assert down.status == 0, down
    for name in NAMES:
        changed = set(look(hosts, name)).symmetric_difference(before[name])
        assert not changed, (name, sorted(changed))
    assert labkit(hosts, tmp_path / "one", "down", "--purge", "--yes").status == 0


def test_a_host_that_the_lab_file_forgets_is_given_back(
    hosts: contract.Lab, tmp_path: Path
) -> None:
    write_lab_file(hosts, tmp_path / "one", "one")
    before = look(hosts, "node2")
    assert labkit(hosts, tmp_path / "one", "up", "--no-example").status == 0
    assert look(hosts, "node2") != before
    write_lab_file(hosts, tmp_path / "one", "one", of=("control", "node1"))
    up = labkit(hosts, tmp_path / "one", "up", "--no-example")
    assert up.status == 0, up
    assert "gave back 192.168.56.12:22" in up.stdout
    assert look(hosts, "node2") == before
    nodes = labkit(hosts, tmp_path / "one", "get", "nodes", "-o", "name")
    assert nodes.stdout.split() == ["node/control", "node/node1"]
    write_lab_file(hosts, tmp_path / "one", "one", of=("control", "node2"))
    down = labkit(hosts, tmp_path / "one", "down")
    assert down.status == 0, down
    for name in NAMES:
        assert "/var/lib/labkit.mark" not in " ".join(look(hosts, name))


def test_a_host_that_is_dead_keeps_its_mark_until_it_answers(
    hosts: contract.Lab, tmp_path: Path
) -> None:
    write_lab_file(hosts, tmp_path / "one", "one")
    before = {name: look(hosts, name) for name in NAMES}
    assert labkit(hosts, tmp_path / "one", "up", "--no-example").status == 0
    hosts.provider.stop(["node2"])
    down = labkit(hosts, tmp_path / "one", "down")
    down.refused(1, "LK-CONNECTION", "node2", "192.168.56.12 port 22")
    for name in ("control", "node1"):
        assert look(hosts, name) == before[name]
    hosts.provider.start(["node2"], contract.progress())
    assert "/var/lib/labkit.mark" in " ".join(look(hosts, "node2"))
    again = labkit(hosts, tmp_path / "one", "down")
    assert again.status == 0, again
    assert "/var/lib/labkit.mark" not in " ".join(look(hosts, "node2"))


#: An account without a password, with the lab's key, and everything by sudo. A namespace machine
#: has no accounts of its own, and none of what sudo reads.
ACCOUNT = """
echo 'admin:x:1000:1000::/var/admin:/bin/sh' >>/etc/passwd
echo 'admin:x:1000:' >>/etc/group
echo 'admin:NP:20000:0:99999:7:::' >>/etc/shadow
mkdir -p /var/admin/.ssh /etc/pam.d
cp /root/.ssh/authorized_keys /var/admin/.ssh/
chown -R 1000:1000 /var/admin
for kind in auth account session; do echo "$kind required pam_permit.so"; done >/etc/pam.d/sudo
"""
#: Where root's programs are, as Debian's own /etc/sudoers says.
ALLOWED = """
umask 227
rm -f /etc/sudoers
echo 'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers
"""
FORBIDDEN = "umask 227; rm /etc/sudoers; echo 'root ALL=(ALL) ALL' >/etc/sudoers"


@pytest.mark.skipif(os.geteuid() != 0, reason="in a user namespace, nobody owns sudo")
def test_an_ordinary_user_with_sudo_will_do_and_one_without_is_refused(
    hosts: contract.Lab, tmp_path: Path
) -> None:
    write_lab_file(hosts, tmp_path / "one", "one", user="admin")
    for name in NAMES:
        contract.said(hosts, name, "sh", "-euc", ACCOUNT + ALLOWED)
    contract.said(hosts, "node2", "sh", "-c", FORBIDDEN)
    refused = labkit(hosts, tmp_path / "one", "up")
    refused.refused(5, "LK-NOT-SUPPORTED", "node2: admin may not become root: sudo:")
    contract.said(hosts, "node2", "sh", "-c", ALLOWED)
    before = {name: look(hosts, name) for name in NAMES}
    up = labkit(hosts, tmp_path / "one", "up")
    assert up.status == 0, up
    assert "5 of 5 requests" in up.stdout
    traced = labkit(hosts, tmp_path / "one", "trace", "app1")
    assert traced.status == 0, traced
    assert labkit(hosts, tmp_path / "one", "down").status == 0
    for name in NAMES:
        changed = set(look(hosts, name)).symmetric_difference(before[name])
        # That somebody came, the system notes for itself.
        assert all("lastlog" in one or "sudo_as_admin" in one for one in changed), changed


def test_what_is_wrong_is_said_of_all_hosts_before_anything_is_changed(
    hosts: contract.Lab, tmp_path: Path
) -> None:
    write_lab_file(hosts, tmp_path / "one", "one")
    contract.said(hosts, "node1", "ip", "link", "add", "cbr0", "type", "bridge")
    contract.said(hosts, "node2", "ip", "route", "add", "blackhole", "10.9.0.0/16")
    contract.said(hosts, "node2", "ip", "route", "add", "10.244.9.0/24", "dev", "lo")
    before = {name: look(hosts, name) for name in NAMES}
    up = labkit(hosts, tmp_path / "one", "up")
    up.refused(
        5, "LK-NOT-SUPPORTED", "node1: has already cbr0", "node2: has a route to 10.244.9.0/24"
    )
    assert {name: look(hosts, name) for name in NAMES} == before


def test_a_host_key_that_nobody_knows_is_not_taken(
    hosts: contract.Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    host = spec.HostSpec("control", "192.168.56.10", "control-plane")
    lab = spec.plan("k", provider="ssh", hosts=(host, spec.HostSpec("node1", "192.168.56.11")))
    made = provider.SshProvider(lab, paths.of("k"), hosts.provider.dial)
    with pytest.raises(errors.LabkitError, match="is not in") as caught:
        made.ensure(contract.progress())
    assert "ssh-keyscan 192.168.56.10" in caught.value.hint
    (tmp_path / ".ssh").mkdir()
    known = [f"{each.address} {each.host_key}\n" for each in lent(hosts)[:2]]
    (tmp_path / ".ssh" / "known_hosts").write_text("".join(known))
    assert made.endpoint("node1").host_key == lent(hosts)[1].host_key


class TestSsh(contract.Contract):
    """The contract; what hosts cannot do is refused with the reason, in the contract itself."""

    @pytest.fixture
    def lab(self, hosts: contract.Lab) -> Iterator[contract.Lab]:
        lab, where = spec.plan("s", provider="ssh", hosts=lent(hosts), clients=0), paths.of("s")
        where.state.mkdir(parents=True)
        made = provider.SshProvider(lab, where, hosts.provider.dial)
        yield contract.Lab(lab, where, made)
        made.purge()

    def test_it_lends(self, lab: contract.Lab) -> None:
        assert isinstance(lab.provider, base.Borrowed)
