"""Who has a port of the node: US-32 to US-35, and no ghosts (S-6)."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.agent import acceptor, claims
from labkit.model import proxying
from tests.unit.agent import fakes

NAMES = [proxying.ServicePortName("default", name) for name in "abc"]
FIRST, SECOND, _ = NAMES
NODE_IP = ipaddress.ip_address("192.168.56.11")
PORT = proxying.ServicePort(
    FIRST,
    "TCP",
    80,
    ipaddress.ip_address("10.96.20.1"),
    external_ips=(ipaddress.ip_address("192.0.2.1"), NODE_IP),
    node_port=30062,
)
CLAIM = claims.Claim(None, 30062, "TCP")


class FakeHost:
    """Which ports are bound on the node."""

    def __init__(self) -> None:
        self.bound: set[claims.Claim] = set()

    def hold(self, claim: claims.Claim) -> FakeHost.Held:
        if claim in self.bound:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self.bound.add(claim)
        return FakeHost.Held(self, claim)

    class Held:
        def __init__(self, host: FakeHost, claim: claims.Claim) -> None:
            self.host, self.claim = host, claim

        def close(self) -> None:
            self.host.bound.remove(self.claim)


def test_US_32_nodePorts_and_local_addresses_are_claimed() -> None:
    assert list(claims.claims_of(PORT, frozenset({NODE_IP}))) == [
        claims.Claim(NODE_IP, 80, "TCP"),
        CLAIM,
    ]
    assert list(claims.claims_of(PORT, frozenset())) == [CLAIM]


def test_US_34_the_first_owner_wins_and_the_next_has_it_when_the_first_is_gone() -> None:
    host = FakeHost()
    held = claims.Claims(host.hold)
    [refusal] = held.settle([(FIRST, CLAIM), (SECOND, CLAIM)])
    assert str(refusal) == "default/b: *:30062/TCP cannot be opened: it is default/a's"
    assert held.settle([(SECOND, CLAIM), (FIRST, CLAIM)])[0].owner == SECOND
    assert held.settle([(SECOND, CLAIM)]) == ()
    assert held.settle([]) == ()
    assert host.bound == set()


def test_S_6_the_loser_s_end_leaves_the_winner_alone() -> None:
    host = FakeHost()
    held = claims.Claims(host.hold)
    held.settle([(FIRST, CLAIM), (SECOND, CLAIM)])
    assert held.settle([(FIRST, CLAIM)]) == ()
    assert host.bound == {CLAIM}


def test_US_33_a_port_of_another_program_is_refused_until_it_is_free() -> None:
    host = FakeHost()
    host.bound.add(CLAIM)
    held = claims.Claims(host.hold)
    assert "Address already in use" in str(held.settle([(FIRST, CLAIM)])[0])
    host.bound.clear()
    assert held.settle([(FIRST, CLAIM)]) == ()


def test_US_34_protocols_do_not_conflict() -> None:
    held = claims.Claims(FakeHost().hold)
    other = claims.Claim(None, 30062, "UDP")
    assert held.settle([(FIRST, CLAIM), (SECOND, other)]) == ()


some_claims = st.builds(claims.Claim, st.none(), st.integers(30000, 30003), st.just("TCP"))
wishes = st.lists(st.tuples(st.sampled_from(NAMES), some_claims), unique=True)


@given(st.lists(wishes, max_size=6))
def test_what_is_bound_is_what_is_wanted_and_owners_keep_what_they_have(
    rounds: list[list[tuple[proxying.ServicePortName, claims.Claim]]],
) -> None:
    host = FakeHost()
    held = claims.Claims(host.hold)
    owners: dict[claims.Claim, proxying.ServicePortName] = {}
    for wanted in rounds:
        refused = {(refusal.owner, refusal.claim) for refusal in held.settle(wanted)}
        granted = [wish for wish in wanted if wish not in refused]
        assert host.bound == {claim for _, claim in wanted}
        assert len({claim for _, claim in granted}) == len(granted)
        for owner, claim in granted:
            previous = owners.get(claim)
            assert owner == previous or (previous, claim) not in wanted
        owners = {claim: owner for owner, claim in granted}


def test_what_is_refused_gets_no_rules_and_the_rest_stays() -> None:
    assert claims.without(PORT, frozenset()) is PORT
    without_node_port = claims.without(PORT, {CLAIM})
    assert without_node_port is not None
    assert (without_node_port.node_port, without_node_port.external_ips) == (0, PORT.external_ips)
    without_local = claims.without(PORT, {claims.Claim(NODE_IP, 80, "TCP")})
    assert without_local is not None
    assert without_local.node_port == 30062
    assert NODE_IP not in without_local.external_ips
    assert claims.without(PORT, {claims.Claim(PORT.cluster_ip, 80, "TCP")}) is None


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_US_33_a_claim_is_a_bound_socket(protocol: str) -> None:
    running = fakes.RunningLoop()
    door = acceptor.Acceptor()
    kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    claim = claims.Claim(ipaddress.ip_address("127.0.0.1"), port, protocol)
    held = running.do(lambda: claims.HeldPort(running.loop, door, claim))
    with pytest.raises(OSError, match="in use"), socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", port))
    if protocol == "TCP":
        with socket.socket() as client, pytest.raises(ConnectionResetError):
            fakes.ask(client, ("127.0.0.1", port))
    running.do(held.close)
    running.close()
    door.close()
