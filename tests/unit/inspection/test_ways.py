from __future__ import annotations

from labkit.inspection import ways
from labkit.model import resources, spec
from tests.unit.inspection import recorded


def plan(
    service: resources.Object | None = None,
    pods: tuple[resources.Object, ...] = recorded.PODS,
    lab: spec.LabSpec = recorded.LAB,
) -> tuple[ways.Attempt, ...]:
    return ways.plan_ways(lab, service or recorded.service(), pods)


def route(attempt: ways.Attempt) -> tuple[str, str, str]:
    return (attempt.client, f"{attempt.address}:{attempt.port}", attempt.catcher)


def test_the_five_ways_are_the_table_of_chains_and_hooks() -> None:
    assert [(way.dials, way.chain, way.hook, way.verdict) for way in ways.WAYS] == [
        ("clusterIP:port", "KUBE-PORTALS-CONTAINER", "PREROUTING", "REDIRECT"),
        ("clusterIP:port", "KUBE-PORTALS-HOST", "OUTPUT", "DNAT"),
        ("nodeIP:nodePort", "KUBE-NODEPORT-CONTAINER", "PREROUTING", "REDIRECT"),
        ("nodeIP:nodePort", "KUBE-NODEPORT-CONTAINER", "PREROUTING", "REDIRECT"),
        ("nodeIP:nodePort", "KUBE-NODEPORT-HOST", "OUTPUT", "DNAT"),
    ]


def test_each_way_has_a_sender_and_a_catcher() -> None:
    assert [route(attempt) for attempt in plan()] == [
        ("pod app1-a on node1", "10.96.20.1:8080", "node1"),
        ("node1", "10.96.20.1:8080", "node1"),
        ("client", "192.168.56.12:30062", "node2"),
        ("pod app1-a on node1", "192.168.56.11:30062", "node1"),
        ("node1", "192.168.56.11:30062", "node1"),
    ]


def test_no_two_ways_share_a_counter() -> None:
    for workers, clients in ((1, 0), (1, 1), (2, 0), (3, 2)):
        lab = spec.plan(workers=workers, clients=clients)
        counters = [(one.catcher, one.way.chain) for one in plan(lab=lab)]

        assert len(set(counters)) == 5


def test_commands_can_be_typed_again() -> None:
    by_pod, by_node, *_ = plan()

    assert by_pod.line == (
        "labkit exec node1 -- ip netns exec default_app1-a "
        "curl -sS --noproxy '*' --max-time 5 http://10.96.20.1:8080/"
    )
    assert by_node.line == (
        "labkit exec node1 -- curl -sS --noproxy '*' --max-time 5 http://10.96.20.1:8080/"
    )
    assert by_node.argv == (*by_node.typed, "--write-out", ways.MEASURED)


def test_home_is_where_a_pod_runs() -> None:
    assert route(plan(pods=recorded.PODS[1:])[0])[2] == "node2"
    assert route(plan(pods=recorded.PODS[1:])[2])[2] == "node1"


def test_one_worker_and_nobody_outside() -> None:
    third = plan(lab=spec.plan(workers=1, clients=0))[2]

    assert route(third) == ("node1", "192.168.56.10:30062", "control")


def test_without_a_pod_two_ways_cannot_be_sent() -> None:
    attempts = plan(pods=())

    assert [bool(one.why_not) for one in attempts] == [True, False, False, True, False]
    assert attempts[0].why_not == "no pod of its namespace runs that could send it"


def test_pods_that_cannot_send() -> None:
    pending = recorded.pod("a", "node1", "", phase="Pending")
    on_host = recorded.pod("b", "node1", "192.168.56.11")
    on_host["spec"]["hostNetwork"] = True
    leaving = recorded.pod("c", "node1", "10.244.1.3")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-23T19:00:00Z"
    elsewhere = recorded.pod("d", "node9", "10.244.9.3")

    assert plan(pods=(pending, on_host, leaving, elsewhere))[0].why_not


def test_without_a_node_port_three_ways_cannot_be_sent() -> None:
    attempts = plan(recorded.service(type="ClusterIP", ports=[{"port": 8080}]))

    assert [one.why_not for one in attempts[2:]] == ["the Service has no nodePort"] * 3


def test_a_service_that_the_proxy_skips_or_that_speaks_no_tcp() -> None:
    skipped = plan(recorded.service(clusterIP="None"))
    udp = plan(recorded.service(ports=[{"port": 53, "protocol": "UDP"}]))

    assert len(skipped) == len(udp) == 5
    assert all("headless" in one.why_not for one in skipped)
    assert all("no TCP port" in one.why_not for one in udp)


def test_the_first_tcp_port_is_dialled() -> None:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "http", "port": 80, "nodePort": 30080},
    ]

    first = plan(recorded.service(ports=ports))[0]

    assert (first.port_name, first.port) == ("default/app1:http", 80)
