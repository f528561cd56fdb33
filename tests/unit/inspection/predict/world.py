"""Three nodes with the rules of a golden set, a pod on each of them, and who might send."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from labkit.inspection.predict import journey, packets
from labkit.model import rules, ruletext

GOLDEN = Path(__file__).parents[3] / "cases" / "golden"
NODES = {"node1": 11, "node2": 12, "node3": 13}
PROXY_PORT = 40193
CLUSTER_IP = IPv4Address("10.96.20.1")
ENDPOINTS = [(IPv4Address(f"10.244.{number}.2"), 8080) for number in (1, 2, 3)]


def ruleset(case: str, mode: str) -> rules.Ruleset:
    return ruletext.parse_ruleset((GOLDEN / case / f"{mode}.rules").read_text())


def machine(name: str, known: rules.Ruleset) -> packets.Machine:
    last = NODES[name]
    outside = packets.Interface(
        "eth1", IPv4Address(f"192.168.56.{last}"), IPv4Network("192.168.56.0/24")
    )
    number = last - 10
    bridge = packets.Interface(
        "cbr0", IPv4Address(f"10.244.{number}.1"), IPv4Network(f"10.244.{number}.0/24"),
        is_bridge=True,
    )  # fmt: skip
    return packets.Machine(name, known, (outside, bridge))


def world(case: str = "02-app1-nodeport", mode: str = "userspace") -> journey.World:
    """The recorded rules are those of the node 192.168.56.11; the other nodes' are the same."""
    known = ruleset(case, mode)
    text = ruletext.render_ruleset(known)
    machines = {}
    for name, last in NODES.items():
        here = text.replace("192.168.56.11", f"192.168.56.{last}")
        machines[name] = machine(name, ruletext.parse_ruleset(here))
    pods = {address: f"node{number}" for number, (address, _) in enumerate(ENDPOINTS, start=1)}
    proxies = {(name, "tcp", PROXY_PORT): ENDPOINTS for name in NODES}
    return journey.World(machines, pods, proxies if mode == "userspace" else {})


def packet(source: str, destination: str, port: int, arrives_by: str = "") -> packets.Packet:
    return packets.Packet(
        "tcp", IPv4Address(source), IPv4Address(destination), port, arrives_by=arrives_by
    )
