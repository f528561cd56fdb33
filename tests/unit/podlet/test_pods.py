"""What to do next for one pod, in every situation it can be in."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.podlet import images, pods, state
from tests.unit.podlet import samples
from tests.unit.podlet.samples import NOW

STOPPING = "Stopping container main"


def test_a_new_pod_is_created_and_its_container_started() -> None:
    wanted = samples.wanted()
    assert pods.plan(wanted, None, NOW) == (pods.Create(),)
    assert pods.plan(wanted, samples.pod(), NOW) == (pods.Start("main"),)
    assert pods.plan(wanted, samples.pod(samples.running()), NOW) == ()


def test_a_pod_that_lost_its_namespace_gets_another() -> None:
    lost = samples.pod(samples.ended(137), address=None)
    assert pods.plan(samples.wanted(), lost, NOW) == (pods.Create(),)


def test_a_pod_that_is_to_go_is_asked_then_killed_then_removed() -> None:
    wanted = samples.deleted(samples.wanted(), grace_s=10)
    asked = samples.running(kill_at=NOW + 10)
    assert pods.plan(wanted, samples.pod(samples.running()), NOW) == (
        pods.Terminate("main", 10, STOPPING),
    )
    assert pods.plan(wanted, samples.pod(asked), NOW + 5) == ()
    assert pods.next_time(samples.pod(asked), NOW) == NOW + 10
    assert pods.plan(wanted, samples.pod(asked), NOW + 10) == (pods.Kill("main"),)
    killed = samples.pod(dataclasses.replace(asked, killed=True))
    assert pods.plan(wanted, killed, NOW + 11) == ()
    assert pods.next_time(killed, NOW + 11) is None
    assert pods.plan(wanted, samples.pod(samples.ended(137)), NOW) == (pods.Remove(),)
    assert pods.plan(wanted, None, NOW) == ()


def test_a_second_deletion_may_shorten_the_grace() -> None:
    now_or_never = samples.deleted(samples.wanted(), grace_s=0)
    asked = samples.pod(samples.running(kill_at=NOW + 10))
    assert pods.plan(now_or_never, asked, NOW) == (pods.Terminate("main", 0, STOPPING),)


def test_a_pod_the_api_server_no_longer_has_is_ended_too() -> None:
    there = samples.pod(samples.running())
    for obj in (samples.wanted(), None):
        (action,) = pods.plan(obj, there, NOW, is_absent=True)
        assert action == pods.Terminate("main", pods.DEFAULT_GRACE_S, STOPPING)
    assert pods.plan(samples.wanted(), None, NOW, is_absent=True) == ()


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 1, True),
        ("OnFailure", 0, False),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_the_restart_policy(policy: str, code: int, again: bool) -> None:
    wanted = samples.wanted(restartPolicy=policy)
    (action,) = pods.plan(wanted, samples.pod(samples.ended(code)), NOW)
    assert action == (pods.Start("main") if again else pods.Release())
    released = samples.pod(samples.ended(code), address=None)
    assert again or pods.plan(wanted, released, NOW) == ()


def test_a_pod_that_has_ended_for_good_is_not_made_again() -> None:
    wanted = samples.wanted(restartPolicy="Never") | {"status": {"phase": "Succeeded"}}
    assert pods.plan(wanted, None, NOW) == ()


def test_the_back_off_is_none_at_first_and_doubles_up_to_five_minutes() -> None:
    container, waits = samples.running(), []
    for _ in range(9):
        container = pods.after_exit(container, 1, NOW)
        waits.append(container.retry_at - NOW)
        container = dataclasses.replace(container, run=samples.run())
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_who_waits_for_the_back_off_is_left_alone_until_then() -> None:
    waiting = pods.after_exit(samples.running(refusals=1), 1, NOW)
    assert waiting.reason == "CrashLoopBackOff"
    assert pods.is_backing_off(samples.wanted(), waiting)
    pod = samples.pod(waiting)
    assert pods.plan(samples.wanted(), pod, NOW + 9) == ()
    assert pods.next_time(pod, NOW + 9) == NOW + 10
    assert pods.plan(samples.wanted(), pod, NOW + 10) == (pods.Start("main"),)


def test_who_ran_for_long_has_recovered() -> None:
    old = samples.running(run=samples.run(started=NOW - 601), refusals=5)
    assert pods.after_exit(old, 1, NOW).retry_at == NOW


def test_an_image_that_is_not_here_is_refused_ever_more_slowly() -> None:
    wanted = samples.wanted({"image": "nginx"})
    (action,) = pods.plan(wanted, samples.pod(), NOW)
    assert isinstance(action, pods.Refuse)
    container, reasons, waits = state.Container("main"), [], []
    for _ in range(7):
        container = pods.after_refusal(container, action.refusal, NOW)
        reasons.append(container.reason)
        waits.append(container.retry_at - NOW)
    assert reasons == ["ErrImagePull"] + ["ImagePullBackOff"] * 6
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_a_configuration_that_cannot_be_had_has_its_own_reason() -> None:
    refused = pods.after_refusal(state.Container("main"), images.Refusal("no volumes"), NOW)
    assert (refused.reason, refused.message) == ("CreateContainerConfigError", "no volumes")


def test_another_image_ends_the_old_run() -> None:
    wanted = samples.wanted({"image": "labkit/echo:v2"}, terminationGracePeriodSeconds=3)
    (action,) = pods.plan(wanted, samples.pod(samples.running()), NOW)
    why = "Container main definition changed, will be restarted"
    assert action == pods.Terminate("main", 3, why)
    late = samples.pod(samples.running(kill_at=NOW - 1))
    assert pods.plan(wanted, late, NOW) == (pods.Kill("main"),)


def test_a_pod_that_ran_before_the_node_lost_its_memory_counts_on() -> None:
    wanted = samples.wanted({"name": "a"}, {"name": "b"})
    wanted["status"] = {
        "podIP": "10.244.1.9",
        "containerStatuses": [
            {"name": "a", "containerID": "labkit://x", "restartCount": 2},
            {"name": "b", "restartCount": 0},
        ],
    }
    begun = pods.begin(wanted, NOW)
    assert [container.restarts for container in begun.containers] == [3, 0]
    assert pods.address_in(wanted) == IPv4Address("10.244.1.9")
    assert pods.address_in(samples.wanted()) is None


moments = st.sampled_from([0.0, NOW - 1, NOW, NOW + 1])
containers = st.builds(
    state.Container,
    name=st.just("main"),
    run=st.one_of(
        st.none(),
        st.builds(samples.run, finished=moments, exit_code=st.sampled_from([0, 1])),
    ),
    retry_at=moments,
    kill_at=moments,
    killed=st.booleans(),
)


@given(
    container=containers,
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    image=st.sampled_from(["labkit/echo", "nginx"]),
    grace_s=st.sampled_from([None, 0, 30]),
)
def test_there_is_always_an_end_to_what_is_to_be_done(
    container: state.Container, policy: str, image: str, grace_s: int | None
) -> None:
    wanted = samples.wanted({"image": image}, restartPolicy=policy)
    if grace_s is not None:
        wanted = samples.deleted(wanted, grace_s)
    pod: state.Pod | None = samples.pod(container)
    for _ in range(10):
        actions = pods.plan(wanted, pod, NOW)
        for action in actions:
            pod = carry_out(action, pod)
        if not actions:
            return
    raise AssertionError(actions)


def carry_out(action: pods.Action, pod: state.Pod | None) -> state.Pod | None:
    """What the podlet's deeds leave behind, without doing them."""
    if pod is None or isinstance(action, pods.Create):
        return samples.pod()
    (container,) = pod.containers
    match action:
        case pods.Start():
            fresh = dataclasses.replace(container, run=samples.run(), killed=False, kill_at=0.0)
            return pod.with_container(fresh)
        case pods.Refuse(_, refusal):
            return pod.with_container(pods.after_refusal(container, refusal, NOW))
        case pods.Terminate(_, grace_s):
            return pod.with_container(dataclasses.replace(container, kill_at=NOW + grace_s))
        case pods.Kill():
            return pod.with_container(dataclasses.replace(container, killed=True))
        case pods.Release():
            return dataclasses.replace(pod, address=None)
        case pods.Remove():
            return None
