"""Round robin and affinity: US-61 to US-67, and the catalogue of kube-proxy's own tests."""

from __future__ import annotations

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.agent import balancer
from labkit.model.proxying import Endpoint
from tests.unit.agent import fakes

ONE, TWO, THREE, FOUR = (Endpoint(f"10.244.1.{n}", 8080) for n in (1, 2, 3, 4))
NOWHERE = Endpoint("10.244.9.9", 1)


def rotation(*endpoints: Endpoint, affinity_s: int = 0) -> balancer.Balancer:
    made = balancer.Balancer()
    made.set_affinity(affinity_s)
    made.set_endpoints(endpoints)
    return made


def chosen(made: balancer.Balancer, times: int, client: str = "c") -> list[Endpoint | None]:
    return [fakes.endpoint(made, client) for _ in range(times)]


def test_US_61_without_endpoints_there_is_nothing_to_choose() -> None:
    assert fakes.endpoint(rotation(), "c") is None


def test_US_61_a_single_endpoint_has_every_turn() -> None:
    assert chosen(rotation(ONE), 4) == [ONE] * 4


def test_US_61_endpoints_have_their_turn_in_order() -> None:
    made = rotation(ONE, TWO, THREE)
    first, second, third = made.endpoints
    assert chosen(made, 4) == [first, second, third, first]


def test_US_63_a_new_set_begins_at_its_start() -> None:
    made = rotation(ONE, TWO, THREE)
    fakes.endpoint(made, "c")
    made.set_endpoints((THREE, FOUR))
    first, second = made.endpoints
    assert chosen(made, 4) == [first, second, first, second]
    made.set_endpoints(())
    assert fakes.endpoint(made, "c") is None


@given(st.permutations([ONE, TWO, THREE, THREE]))
def test_US_64_the_same_set_in_another_order_changes_nothing(order: list[Endpoint]) -> None:
    made = rotation(ONE, TWO, THREE, THREE)
    fakes.endpoint(made, "c")
    before = made.endpoints
    made.set_endpoints(order)
    assert made.endpoints == before
    assert fakes.endpoint(made, "c") == before[1]


@given(
    st.lists(st.builds(Endpoint, st.just("10.244.1.1"), st.integers(1, 50)), min_size=1),
    st.integers(0, 200),
)
def test_the_rotation_is_fair(endpoints: list[Endpoint], times: int) -> None:
    """After any number of turns no endpoint has had two more than another."""
    turns = collections.Counter(chosen(rotation(*endpoints), times))
    entries = collections.Counter(endpoints)
    shares = [turns[endpoint] / entries[endpoint] for endpoint in entries]
    assert max(shares) - min(shares) <= 1


def test_affinity_keeps_each_client_with_its_first_endpoint() -> None:
    made = rotation(ONE, TWO, THREE, affinity_s=10800)
    firsts = {client: fakes.endpoint(made, client) for client in ("a", "b", "c")}
    assert set(firsts.values()) == {ONE, TWO, THREE}
    for client in "abcacbbca":
        assert fakes.endpoint(made, client) == firsts[client]


def test_affinity_holds_whatever_came_first_Service_or_Endpoints() -> None:
    """kube-proxy ignored the timeout when it saw the Endpoints first (US-67)."""
    clock = fakes.FakeClock()
    made = balancer.Balancer(clock=clock)
    made.set_endpoints((ONE, TWO))
    made.set_affinity(60)
    first = fakes.endpoint(made, "a")
    clock.advance(59)
    assert fakes.endpoint(made, "a") == first
    clock.advance(60)
    assert fakes.endpoint(made, "a") != first


def test_US_61_each_connection_renews_the_memory() -> None:
    clock = fakes.FakeClock()
    made = balancer.Balancer(clock=clock)
    made.set_endpoints((ONE, TWO))
    made.set_affinity(60)
    first = fakes.endpoint(made, "a")
    for _ in range(5):
        clock.advance(59)
        assert fakes.endpoint(made, "a") == first


def test_an_edit_of_the_timeout_takes_effect_at_once() -> None:
    clock = fakes.FakeClock()
    made = balancer.Balancer(clock=clock)
    made.set_endpoints((ONE, TWO))
    made.set_affinity(10800)
    first = fakes.endpoint(made, "a")
    made.set_affinity(30)
    clock.advance(31)
    assert fakes.endpoint(made, "a") != first


def test_affinity_that_is_switched_off_is_forgotten() -> None:
    made = rotation(ONE, TWO, affinity_s=60)
    fakes.endpoint(made, "a")
    made.set_affinity(0)
    assert len(set(chosen(made, 2, "a"))) == 2


def test_only_the_client_of_a_removed_endpoint_moves() -> None:
    made = rotation(ONE, TWO, THREE, affinity_s=60)
    had = {client: fakes.endpoint(made, client) for client in "abc"}
    made.set_endpoints((ONE, TWO))
    for client, endpoint in had.items():
        now = fakes.endpoint(made, client)
        assert (now == endpoint) if endpoint != THREE else (now in (ONE, TWO))
    made.set_endpoints((ONE, TWO, FOUR))
    newcomers = {fakes.endpoint(made, client) for client in "xyz"}
    assert newcomers == {ONE, TWO, FOUR}


def test_US_61_the_sweep_forgets_who_did_not_come_back() -> None:
    clock = fakes.FakeClock()
    made = balancer.Balancer(clock=clock)
    made.set_endpoints((ONE, TWO))
    made.set_affinity(60)
    fakes.endpoint(made, "a")
    clock.advance(30)
    kept = fakes.endpoint(made, "b")
    clock.advance(30)
    made.expire()
    assert list(made._affinity) == ["b"]
    assert fakes.endpoint(made, "b") == kept


def test_US_51_after_a_failed_dial_affinity_does_not_count_and_is_written_anew() -> None:
    made = rotation(ONE, TWO, THREE, affinity_s=60)
    first = fakes.endpoint(made, "a")
    second = fakes.endpoint(made, "a", (NOWHERE,))
    assert second != first
    assert fakes.endpoint(made, "a") == second


def test_a_failed_endpoint_is_not_tried_again_while_there_are_others() -> None:
    made = rotation(ONE, TWO, THREE)
    tried: list[Endpoint] = []
    for _ in range(3):
        endpoint = fakes.endpoint(made, "a", tried)
        assert endpoint is not None
        tried.append(endpoint)
        fakes.endpoint(made, "another client, whose turns come in between")
    assert set(tried) == {ONE, TWO, THREE}
    assert fakes.endpoint(made, "a", tried) in tried


@pytest.mark.parametrize("endpoint", [ONE, FOUR])
def test_a_balancer_knows_what_it_has(endpoint: Endpoint) -> None:
    assert (endpoint in rotation(ONE, TWO)) is (endpoint == ONE)
