"""Files of packets, read and written; and what is asked of tcpdump."""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from labkit import errors
from labkit.inspection.capture import lines, pcap, pcapng, taking
from labkit.model import commands, proxying


def ipv4(number: int, body: bytes) -> bytes:
    ends = IPv4Address("10.244.1.2").packed + IPv4Address("10.96.20.1").packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, number, 0)
    return bytes(12) + b"\x08\x00" + head + ends + body


SYN = ipv4(6, struct.pack("!HHIIBBHHH", 40000, 8080, 0, 0, 0x50, 2, 0, 0, 0))
UDP = ipv4(17, struct.pack("!HHHH", 40000, 53, 11, 0) + b"abc")
PING = ipv4(1, bytes(8))


def written(*records: tuple[int, bytes], order: str = "<", nano: bool = False) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    content = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, 1)
    scale = 1 if nano else 1000
    for time_ns, data in records:
        seconds, rest = divmod(time_ns, 1_000_000_000)
        content += struct.pack(f"{order}4I", seconds, rest // scale, len(data), len(data)) + data
    return content


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_tcpdumps_file(order: str, *, nano: bool) -> None:
    content = written((1_000_002_000, SYN), (5_000, UDP), order=order, nano=nano)
    assert pcap.parse("node1", content) == (
        pcap.Packet("node1", 1_000_002_000, 1, len(SYN), SYN),
        pcap.Packet("node1", 5_000, 1, len(UDP), UDP),
    )
    assert len(pcap.parse("node1", content[:-1])) == 1


def test_what_is_no_file_of_packets() -> None:
    with pytest.raises(errors.LabkitError, match="node1 wrote no"):
        pcap.parse("node1", b"tcpdump: eth7: No such device exists" * 2)


@pytest.mark.skipif(not shutil.which("tcpdump"), reason="tcpdump is not installed")
def test_another_program_reads_what_is_merged(tmp_path: Path) -> None:
    one = pcap.parse("node1", written((2_000_000, UDP), (9_000_000, PING)))
    two = pcap.parse("node2", written((1_000_000, SYN)))
    path = tmp_path / "a.pcapng"
    path.write_bytes(pcapng.render([*one, *two]))
    said = subprocess.run(
        ["tcpdump", "-n", "-tt", "-r", str(path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [line.split()[0] for line in said] == ["0.001000", "0.002000", "0.009000"]
    assert "10.244.1.2.40000 > 10.96.20.1.8080: Flags [S]" in said[0]
    assert path.read_bytes().count(b"node2") == 2  # its interface, and the comment


def test_lines() -> None:
    found = [
        lines.render(packet)
        for packet in pcap.parse("node1", written((1_500, SYN), (2_000, UDP), (3_000, PING)))
    ]
    assert found == [
        "00:00:00.000001 node1  tcp 10.244.1.2:40000 > 10.96.20.1:8080  SYN  0 bytes",
        "00:00:00.000002 node1  udp 10.244.1.2:40000 > 10.96.20.1:53  3 bytes",
        "00:00:00.000003 node1  icmp 10.244.1.2 > 10.96.20.1  8 bytes",
    ]
    sll2 = pcap.Packet("n", 0, 276, 99, b"\x08\x00" + bytes(18) + SYN[14:])
    assert "tcp 10.244.1.2:40000" in lines.render(sll2)
    assert "cut off" in lines.render(pcap.Packet("n", 0, 1, 99, SYN[:20]))
    assert "protocol 0x0806" in lines.render(pcap.Packet("n", 0, 1, 60, bytes(12) + b"\x08\x06"))


class FakeNode:
    def __init__(self, name: str, stdout: str, stderr: str = "") -> None:
        self.name, self._out, self._err = name, stdout, stderr

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 30, check: bool = True
    ) -> commands.Command:
        assert not check
        assert timeout_s > 5
        return commands.Command(tuple(argv), 124, self._out, self._err, 0.1, self.name)

    def script(self, text: str, *, check: bool = True) -> commands.Command:
        raise AssertionError


class FakeMachines:
    def __init__(self, *nodes: FakeNode) -> None:
        self._nodes = {node.name: node for node in nodes}

    def map(self, names: Any, func: Any) -> dict[str, Any]:
        return {name: func(self._nodes[name]) for name in names}


def test_packets_of_two_nodes_are_merged() -> None:
    both = FakeMachines(
        FakeNode("a", base64.b64encode(written((2_000, UDP))).decode()),
        FakeNode("b", base64.b64encode(written((1_000, SYN), (3_000, SYN))).decode()),
    )
    found = taking.take(both, ["a", "b"], seconds=5)
    assert [(packet.node, packet.time_ns) for packet in found] == [
        ("b", 1_000),
        ("a", 2_000),
        ("b", 3_000),
    ]


def test_a_node_without_tcpdump() -> None:
    node = FakeNode("a", "", "sh: 1: tcpdump: not found\n")
    with pytest.raises(errors.LabkitError, match="tcpdump: not found"):
        taking.take(FakeMachines(node), ["a"], seconds=5)


def test_only_what_is_the_services() -> None:
    name = proxying.ServicePortName("default", "app1")
    address = IPv4Address("10.96.20.1")
    port = proxying.ServicePort(name, "TCP", 8080, address, node_port=30062)
    ends = [proxying.Endpoint("10.244.1.2", 8080)]
    wanted = taking.plan_filter([port], ends)
    assert wanted == (
        "(host 10.96.20.1 and port 8080) or port 30062 or (host 10.244.1.2 and port 8080)"
    )
    script = taking.plan_script(5, "any", wanted)
    assert script.startswith("timeout -s INT 5 tcpdump ")
    assert f"'{wanted}' | base64" in script
