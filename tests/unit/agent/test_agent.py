"""Which address stands for the node in DNAT rules."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from labkit.agent import agent, flags, sockets


def parse(*words: str) -> flags.Flags:
    return flags.parse_flags(["--kubeconfig=x", *words])


def test_US_2_the_flag_goes_before_the_address_that_is_listened_at_before_the_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "detect_host_ip", lambda: "192.0.2.7")
    assert agent.find_host_ip(parse()) == IPv4Address("192.0.2.7")
    bound = parse("--bind-address=192.168.56.11")
    assert agent.find_host_ip(bound) == IPv4Address("192.168.56.11")
    told = parse("--bind-address=192.168.56.11", "--node-ip=192.168.56.12")
    assert agent.find_host_ip(told) == IPv4Address("192.168.56.12")
