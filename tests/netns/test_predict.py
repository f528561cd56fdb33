"""What is predicted, and what a kernel does: the same rules take the same packet.

A node of its own is made of namespaces, with a machine outside and a pod on its bridge. A rule set
is loaded into it, a connection is begun by each way in, and the counters of the kernel tell which
rules took it.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.inspection.predict import hooks, packets
from labkit.model import rules, ruletext
from tests.unit.inspection.predict import world

NODE, POD, CLIENT = "192.168.56.11", "10.244.1.3", "192.168.56.10"
#: Runs in namespaces of its own until its input ends. What the kernel sends by itself (IGMP, ICMP)
#: is not tracked, so it does not meet the nat table. `others` is where the other pods would be: a
#: bridge does not send a frame back by the port that it came from.
SETUP = """
set -e
mount -t tmpfs none /run
ip netns add outside
ip netns add pod
ip link set lo up
ip link add eth1 type veth peer name eth0 netns outside
ip link add cbr0 type bridge
ip link add veth0 type veth peer name eth0 netns pod
ip link set veth0 master cbr0
ip link add others type veth peer name eth2 netns outside
ip -n outside link set eth2 up
ip link set others master cbr0
for link in eth1 cbr0 veth0 others; do ip link set $link up; done
ip address add 192.168.56.11/24 dev eth1
ip address add 10.244.1.1/24 dev cbr0
ip route add default via 192.168.56.1 dev eth1
ip -n outside address add 192.168.56.10/24 dev eth0
ip -n outside link set eth0 up
ip -n outside route add default via 192.168.56.11
ip -n outside route add 192.168.56.128/25 via 192.168.56.11
ip -n pod address add 10.244.1.3/24 dev eth0
ip -n pod link set eth0 up
ip -n pod route add default via 10.244.1.1
for n in 1 2 3 4 5; do ip neighbor add 192.168.56.$n lladdr 02:00:00:00:00:01 dev eth1; done
for n in 2 5 6 7 101 102 103 104; do
    ip neighbor add 10.244.1.$n lladdr 02:00:00:00:00:02 dev cbr0
done
for hook in PREROUTING OUTPUT; do
    for protocol in tcp udp; do iptables -t raw -A $hook -p $protocol -j ACCEPT; done
    iptables -t raw -A $hook -j CT --notrack
done
echo 1 > /proc/sys/net/ipv4/ip_forward
echo ready
exec sh
"""
LATE_S = 5.0
#: Begins a connection, and does not wait for its end.
DIAL = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(type=kind) as sock:
    sock.setblocking(False)
    sock.connect_ex((sys.argv[2], int(sys.argv[3])))
    try:
        sock.send(b"?")
    except OSError:
        pass
"""


class Node:
    """A shell within the node."""

    def __init__(self, shell: subprocess.Popen[str]) -> None:
        self._shell = shell

    def run(self, script: str) -> str:
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"{script}\necho; echo === $?\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith("==="):
                assert line == "=== 0\n", "".join(lines)
                return "".join(lines)
            lines.append(line)
        raise AssertionError("".join(lines))

    def load(self, text: str) -> rules.Ruleset:
        self.run(f"iptables-restore 2>&1 <<'END'\n{text}END\n")
        return self.read()

    def read(self) -> rules.Ruleset:
        return ruletext.parse_ruleset(self.run("iptables-save -c"))

    def dial(
        self, sender: str, protocol: str, address: str, port: int, ways: list[set[str]]
    ) -> set[str]:
        """Begin a connection; return the rules of the nat table that took it.

        A busy kernel gets to a packet after its sender has ended: what is none of `ways` is looked
        at again, for a while.
        """
        self.run("iptables -t nat -Z")
        where = f"ip netns exec {sender}" if sender else ""
        dialled = f"{protocol} {address} {port}"
        self.run(f"{where} {sys.executable} - {dialled} 2>&1 <<'END'\n{DIAL}END\n")
        end = time.monotonic() + LATE_S
        while (seen := self._taken()) not in ways and time.monotonic() < end:
            pass
        return seen

    def _taken(self) -> set[str]:
        nat = self.read().table("nat")
        assert nat
        return {
            rule.text
            for chain in nat.chains
            for rule in chain.rules
            if rule.counters and rule.counters.packets
        }


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    argv = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", SETUP]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as shell:
        assert shell.stdout
        assert shell.stdout.readline() == "ready\n", shell.stdout.read()
        with contextlib.closing(shell.stdin or shell.stdout):
            yield Node(shell)


def predicted(
    known: rules.Ruleset, sender: str, protocol: str, address: str, port: int
) -> list[set[str]]:
    """The rules of the nat table that take the packet, of each way that it can go."""
    bridge = packets.Interface(
        "cbr0", IPv4Address("10.244.1.1"), IPv4Network("10.244.1.0/24"), is_bridge=True
    )
    uplink = packets.Interface("eth1", IPv4Address(NODE), IPv4Network("192.168.56.0/24"))
    machine = packets.Machine("node1", known, (uplink, bridge))
    source, by = {"": (NODE, ""), "pod": (POD, "cbr0"), "outside": (CLIENT, "eth1")}[sender]
    packet = packets.Packet(
        protocol, IPv4Address(source), IPv4Address(address), port, arrives_by=by
    )
    ways = (hooks.receive if by else hooks.send)(machine, packet)
    return [{hop.rule.text for hop in way.passage.taken if hop.table == "nat"} for way in ways]


SENDERS = ("", "pod", "outside")
CASES = sorted(path.name for path in world.GOLDEN.iterdir())


def dialled(known: rules.Ruleset) -> set[tuple[str, str, int]]:
    """Every address and port that the nat table speaks of, and one that it does not."""
    found = {("tcp", "10.96.77.77", 7777)}
    nat = known.table("nat")
    assert nat
    for chain in nat.chains:
        for rule in chain.rules:
            address, port = rule.value("-d") or f"{NODE}/32", rule.value("--dport")
            if port and address.endswith("/32"):
                found.add((rule.value("-p") or "tcp", address[:-3], int(port)))
    return found


@pytest.mark.parametrize("mode", ["userspace", "iptables"])
@pytest.mark.parametrize("case", CASES)
def test_recorded_rules_take_what_is_predicted(node: Node, case: str, mode: str) -> None:
    known = node.load((world.GOLDEN / case / f"{mode}.rules").read_text())
    taken = 0
    for protocol, address, port in sorted(dialled(known)):
        for sender in SENDERS:
            ways = predicted(known, sender, protocol, address, port)
            seen = node.dial(sender, protocol, address, port, ways)
            assert seen in ways, (sender, protocol, address, port, seen, ways)
            taken += len(seen)
    assert taken


SERVICES = st.lists(
    st.tuples(
        st.sampled_from(["tcp", "udp"]),
        st.integers(2, 250),
        st.integers(1, 65535),
        st.integers(30000, 32767),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=4,
)


def rules_of(services: list[tuple[str, int, int, int, int]]) -> str:
    """Services in the manner of both modes at once: some with endpoints, by lot, some with none."""
    chains = ["PREROUTING ACCEPT", "OUTPUT ACCEPT", "POSTROUTING ACCEPT", "SERVICES -", "DOORS -"]
    lines = [
        "-A PREROUTING -j SERVICES",
        "-A OUTPUT -j SERVICES",
        "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
    ]
    for number, (protocol, last, port, node_port, endpoints) in enumerate(services):
        chain = f"SVC-{number}"
        chains.append(f"{chain} -")
        match = f"-p {protocol} -m {protocol}"
        lines.append(f"-A SERVICES -d 10.96.0.{last}/32 {match} --dport {port} -j {chain}")
        lines.append(f"-A DOORS {match} --dport {node_port} -j MARK --set-xmark 0x4000/0x4000")
        lines.append(f"-A DOORS {match} --dport {node_port} -g {chain}")
        for left in range(endpoints, 0, -1):
            lot = f"-m statistic --mode random --probability {1 / left:.11f} " if left > 1 else ""
            to = f"10.244.1.{100 + left}:8080"
            lines.append(f"-A {chain} -p {protocol} {lot}-j DNAT --to-destination {to}")
        if endpoints == 0:
            lines.append(f"-A {chain} -p {protocol} -j REDIRECT --to-ports {port}")
    lines.append("-A SERVICES -m addrtype --dst-type LOCAL -j DOORS")
    heads = "".join(f":{chain} [0:0]\n" for chain in chains)
    return f"*nat\n{heads}" + "".join(f"{line}\n" for line in lines) + "COMMIT\n"


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SERVICES)
def test_random_services(node: Node, services: list[tuple[str, int, int, int, int]]) -> None:
    known = node.load(rules_of(services))
    for sender in SENDERS:
        for protocol, last, port, node_port, _ in services:
            for address, number in ((f"10.96.0.{last}", port), (NODE, node_port)):
                ways = predicted(known, sender, protocol, address, number)
                assert node.dial(sender, protocol, address, number, ways) in ways
