"""One of many acts: two candidates for one lease, with clocks that stand still."""

from __future__ import annotations

import threading

import pytest

from labkit import errors
from labkit.apiserver import registry
from labkit.apiserver.kinds import leases
from labkit.apiserver.remote import election
from tests.unit.apiserver import cluster
from tests.unit.apiserver.remote import direct

NAME = "kube-scheduler"


@pytest.fixture
def clock() -> cluster.Clock:
    return cluster.Clock(0.0)


def candidate(api: cluster.Client, me: str, clock: cluster.Clock) -> election.Election:
    return election.Election(direct.DirectClient(api), NAME, me, clock)


def spec(objects: registry.Registry) -> dict[str, object]:
    held: dict[str, object] = objects.get(leases.KIND, "kube-system", NAME).object["spec"]
    return held


def test_the_first_one_acts_and_the_second_waits(
    api: cluster.Client, objects: registry.Registry, clock: cluster.Clock
) -> None:
    one, two = candidate(api, "one", clock), candidate(api, "two", clock)
    assert (one._try(), two._try()) == ("one", "one")
    assert spec(objects)["holderIdentity"] == "one"
    assert spec(objects)["leaseTransitions"] == 0


def test_who_renews_stays_and_who_falls_silent_is_followed(
    api: cluster.Client, objects: registry.Registry, clock: cluster.Clock
) -> None:
    one, two = candidate(api, "one", clock), candidate(api, "two", clock)
    one._try()
    for _ in range(3):
        clock.now += election.LEASE_S - 1
        one._try()
        assert two._try() == "one"
    clock.now += election.LEASE_S + 1
    assert two._try() == "two"
    assert one._try() == "two"
    assert spec(objects)["leaseTransitions"] == 1


def test_a_lease_that_was_given_back_is_free_at_once(
    api: cluster.Client, clock: cluster.Clock
) -> None:
    one, two = candidate(api, "one", clock), candidate(api, "two", clock)
    one._try()
    two.release()
    assert two._try() == "one", "only its holder can give it back"
    one.release()
    assert two._try() == "two"


def test_who_comes_back_by_the_same_name_goes_on(
    api: cluster.Client, objects: registry.Registry, clock: cluster.Clock
) -> None:
    candidate(api, "one", clock)._try()
    since = spec(objects)["acquireTime"]
    assert candidate(api, "one", clock)._try() == "one"
    assert spec(objects)["acquireTime"] == since


def test_of_two_at_the_same_moment_one_wins(
    api: cluster.Client, objects: registry.Registry, clock: cluster.Clock
) -> None:
    one, two = candidate(api, "one", clock), candidate(api, "two", clock)
    client = one._client
    assert isinstance(client, direct.DirectClient)
    client.interfere = [lambda: two._try()]
    assert one._try() == ""
    assert spec(objects)["holderIdentity"] == "two"


def test_a_holder_that_cannot_renew_stops_in_time(
    api: cluster.Client, clock: cluster.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = candidate(api, "one", clock)
    assert one.win()

    def away(*_: object, **__: object) -> None:
        clock.now += 3
        raise errors.ConnectionFailed("it is away")

    monkeypatch.setattr(election, "RETRY_S", 0.0)
    monkeypatch.setattr(one._client, "request", away)
    one.keep()
    assert election.RENEW_WITHIN_S < clock.now < election.LEASE_S


def test_leaving_ends_the_wait(api: cluster.Client, clock: cluster.Clock) -> None:
    candidate(api, "one", clock)._try()
    two = candidate(api, "two", clock)
    won: list[bool] = []
    thread = threading.Thread(target=lambda: won.append(two.win()))
    thread.start()
    two.leave()
    thread.join(timeout=5)
    assert won == [False]
