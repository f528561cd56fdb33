"""Five requests, sent over fakes that answer with what real nodes printed before and after."""

from __future__ import annotations

import json

import pytest

from labkit import errors
from labkit.inspection import answers, await_rules, probing, proof, ways
from labkit.model import commands, resources, spec
from labkit.podlet import echo
from tests.unit.inspection import recorded
from tests.unit.inspection.recorded import printed
from tests.unit.inspection.test_service import stored


def echoed(own_address: str, pod: str, node: str, seen: str, *, seconds: float = 0.0021) -> str:
    """What curl prints when a pod of the image labkit/echo answered."""
    body = json.dumps({"pod": pod, "node": node, "client": {"address": seen, "port": 40000}})
    return f"{body}\n\n{seconds:.6f} {own_address}"


ANSWERS = {
    1: printed(echoed("10.244.1.2", "app1-a", "node1", "10.244.1.1")),
    2: printed(echoed("192.168.56.11", "app1-b", "node2", "192.168.56.11")),
    3: printed(echoed("192.168.56.100", "app1-c", "node2", "10.244.2.1")),
    4: printed(echoed("10.244.1.2", "app1-b", "node2", "192.168.56.11")),
    5: printed(echoed("192.168.56.11", "app1-a", "node1", "10.244.1.1")),
}


def pool(
    answered: dict[int, commands.Command | Exception] | None = None, /, **looks: str
) -> recorded.FakePool:
    """The lab of the recording; `looks` gives other texts for `node1_after` and so on."""
    sent = {**ANSWERS, **(answered or {})}
    names = ("node1_before", "node1_after", "node2_before", "node2_after")
    seen = {name: printed(recorded.look(f"app1-{name.replace('_', '-')}")) for name in names}
    seen |= {name: printed(text) for name, text in looks.items()}
    return recorded.FakePool(
        {
            "node1": [
                seen["node1_before"], *(sent[i] for i in (1, 2, 4, 5)), seen["node1_after"]
            ],
            "node2": [seen["node2_before"], seen["node2_after"]],
            "client": [sent[3]],
        }
    )  # fmt: skip


def send(
    machines: recorded.FakePool,
    service: resources.Object | None = None,
    lab: spec.LabSpec = recorded.LAB,
) -> proof.WaysReport:
    return probing.send_ways(machines, lab, service or recorded.service(), recorded.PODS)


def problems(report: proof.WaysReport) -> list[str]:
    return [one.problem for one in report.proofs]


def test_each_request_moved_its_own_rule_by_one_packet() -> None:
    report = send(pool())

    assert report.ok
    assert [(one.node, one.chain, one.packets) for one in report.proofs] == [
        ("node1", "KUBE-PORTALS-CONTAINER", 1),
        ("node1", "KUBE-PORTALS-HOST", 1),
        ("node2", "KUBE-NODEPORT-CONTAINER", 1),
        ("node1", "KUBE-NODEPORT-CONTAINER", 1),
        ("node1", "KUBE-NODEPORT-HOST", 1),
    ]


def test_all_rules_that_moved_are_reported_also_those_of_the_filter_table() -> None:
    moved = send(pool()).moved

    assert [(one.node, one.packets) for one in moved if one.table == "filter"] == [
        ("node1", 4),
        ("node2", 1),
    ]
    assert len(moved) == 7


def test_the_pod_saw_the_proxying_node() -> None:
    report = send(pool())

    assert [one.seen_as for one in report.proofs] == [
        "node1's cbr0",
        "node1",
        "node2's cbr0",
        "node1",
        "node1's cbr0",
    ]


def test_few_round_trips() -> None:
    machines = pool()

    send(machines)

    assert {name: len(each.ran) for name, each in machines.connections.items()} == {
        "node1": 6,
        "node2": 2,
        "client": 1,
    }


def test_text_as_stored() -> None:
    now = repr(send(pool())) + "\n"

    assert now == stored("app1-ways.txt", now)
    assert max(len(line) for line in now.splitlines() if "labkit exec" not in line) <= 100


def test_json_as_stored() -> None:
    now = json.dumps(send(pool()).to_json(), indent=2) + "\n"

    assert now == stored("app1-ways.json", now)


def test_html_carries_the_commands_and_the_summary() -> None:
    markup = send(pool())._repr_html_()

    assert markup.count("labkit exec") == 5
    assert "5 of 5 requests" in markup


def test_a_request_without_an_answer() -> None:
    refused = printed("", exit_status=7, stderr="curl: (7) Failed to connect\n")
    silent = printed("", exit_status=28)

    report = send(pool({1: refused, 2: silent, 3: recorded.unreachable("client")}))

    assert problems(report)[:3] == [
        "no answer: curl: (7) Failed to connect",
        "no answer: curl ended with status 28",
        "no answer: client: sshd does not answer",
    ]
    assert "2 of 5 requests" in repr(report)
    assert "Way 1: no answer: curl: (7) Failed to connect." in repr(report)


def test_a_rule_that_did_not_move() -> None:
    report = send(pool(node2_after=recorded.look("app1-node2-before")))

    assert problems(report)[2] == "the rule counted nothing: the answer did not come through it"


def test_a_rule_that_others_use_as_well() -> None:
    busy = recorded.look("app1-node2-after").replace(
        "[1:60] -A KUBE-NODEPORT-CONTAINER", "[4:240] -A KUBE-NODEPORT-CONTAINER"
    )

    report = send(pool(node2_after=busy))

    assert problems(report)[2] == (
        "the rule counted 4 packets for one connection: others use it as well"
    )


def test_the_rule_is_found_among_others() -> None:
    """Another Service's rule, one of our own for another port, and one for a name like ours."""
    ours = "-A KUBE-NODEPORT-CONTAINER -p tcp -m comment --comment "
    others = "".join(
        f'[9:540] {ours}"{name}" -m tcp --dport {port} -j REDIRECT --to-ports 1\n'
        for name, port in (
            ("default/web", 30062),
            ("default/app1", 30063),
            ("default/app10", 30062),
        )
    )
    looks = {
        f"node2_{when}": recorded.look(f"app1-node2-{when}").replace(
            f"[{n}] {ours}", f"{others}[{n}] {ours}"
        )
        for when, n in (("before", "0:0"), ("after", "1:60"))
    }

    report = send(pool(**looks))

    assert report.ok
    assert report.proofs[2].verdict == "REDIRECT --to-ports 45871"


def test_a_node_without_the_rule() -> None:
    report = send(pool(node2_before=recorded.look("bare"), node2_after=recorded.look("bare")))

    assert problems(report)[2] == "node2 has no rule for it in KUBE-NODEPORT-CONTAINER"


def test_a_node_whose_counters_cannot_be_read() -> None:
    report = send(pool(node2_after=""))

    assert problems(report)[2] == (
        "the counters of node2 could not be read: could not read filter, nat, sockets"
    )


def test_ways_that_cannot_be_sent_are_shown_with_the_reason() -> None:
    machines = recorded.FakePool({})

    report = send(machines, recorded.service(clusterIP="None"))

    assert "Way 5: not sent: kube-proxy does not serve it" in repr(report)
    assert "Who answered: nobody" in repr(report)
    assert not report.ok


def test_an_address_that_is_nobodys_and_a_server_that_is_no_echo() -> None:
    foreign = printed(echoed("192.168.56.100", "app1-b", "node2", "203.0.113.7"))
    strange = printed("<html>\nwelcome\n0.1 10.244.1.2")

    told = repr(send(pool({3: foreign, 4: strange})))

    assert "203.0.113.7\n" in told or "203.0.113.7 " in told
    assert "<html>" in told


def test_a_client_that_the_pod_saw_is_not_hidden() -> None:
    direct = printed(echoed("192.168.56.100", "app1-b", "node2", "192.168.56.100"))

    assert "No pod saw its client" in repr(send(pool()))
    assert "No pod saw its client" not in repr(send(pool({3: direct})))


def test_answers_of_other_servers_are_kept_as_text() -> None:
    for body in ("[1, 2]", '{"version": "v1"}', '{"client": {}}', "not json"):
        answer = answers.parse_answer(printed(f"{body}\n0.002 10.0.0.1"))

        assert (answer.pod, answer.text, answer.milliseconds) == ("", body, 2.0)


def test_reads_what_the_echo_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "app1-a")
    monkeypatch.setenv("NODE_NAME", "node1")
    body = echo.describe("TCP", ("10.244.1.2", 8080), ("10.244.1.1", 40312), {"method": "GET"})

    answer = answers.parse_answer(printed(f"{body.decode()}\n0.0021 10.0.0.1"))

    assert answer == answers.Answer(2.1, "10.0.0.1", "app1-a", "node1", "10.244.1.1")


def test_a_machine_sends_its_requests_in_order() -> None:
    machines = pool()

    send(machines)

    urls = [argv[-3] for argv in machines.connections["node1"].ran if "curl" in argv]
    assert urls == [
        "http://10.96.20.1:8080/",
        "http://10.96.20.1:8080/",
        "http://192.168.56.11:30062/",
        "http://192.168.56.11:30062/",
    ]
    assert machines.connections["client"].ran[0][-1] == ways.MEASURED


def test_nodes_that_do_not_serve_in_time_are_named() -> None:
    machines = recorded.FakePool(
        {"node1": [printed("")], "node2": [printed("", exit_status=await_rules.LATE)]}
    )
    with pytest.raises(errors.TimedOut, match="kube-proxy on node2 does not serve") as caught:
        probing.wait_until_served(machines, ["node1", "node2"], "default/app1", timeout_s=3)
    assert "labkit logs node2/kube-proxy" in caught.value.hint


def test_nodes_that_serve_are_waited_for_on_themselves() -> None:
    machines = recorded.FakePool({"node1": [printed("")]})
    probing.wait_until_served(machines, ["node1"], "default/app1", timeout_s=3)
    assert machines.connections["node1"].ran[0][-2:] == ("default/app1", "3")
