"""What is on disk before anything is broken, and what a hidden fault does not tell."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from labkit import errors, paths
from labkit.faults import fault, receipts, results
from labkit.model import example, resources

RECEIPT = receipts.Receipt(
    fault="dead-redirect",
    node="node2",
    hidden=False,
    stage="injecting",
    began="2026-11-24T14:00:00+00:00",
    do=(fault.shell("node2", "echo $1", "dead-redirect"),),
    undo=(fault.patch(resources.SERVICES, example.NAME, {"spec": {}}),),
    asks=(fault.Ask("client", "http://192.168.56.12:30062/"),),
    before={"node2": ("-P INPUT ACCEPT",)},
)


def test_a_receipt_comes_back_as_it_was_written_and_is_for_its_owner_alone(home: Path) -> None:
    where = paths.of("lab")
    assert receipts.load(where) is None
    kept = receipts.keep(where, RECEIPT, stage="active", hidden=True)
    assert receipts.load(where) == kept
    assert receipts.active(where) == kept
    assert stat.S_IMODE(receipts.path(where).stat().st_mode) == 0o600
    receipts.keep(where, kept, stage="cleared")
    assert receipts.active(where) is None
    receipts.forget(where)
    receipts.forget(where)
    assert receipts.load(where) is None


def test_purging_a_lab_forgets_its_fault(home: Path) -> None:
    where = paths.of("lab")
    receipts.keep(where, RECEIPT)
    paths.forget(where)
    assert receipts.load(where) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fault": 1}'])
def test_a_receipt_that_somebody_has_spoilt_is_named(text: str, home: Path) -> None:
    where = paths.of("lab")
    receipts.keep(where, RECEIPT)
    receipts.path(where).write_text(text)
    with pytest.raises(errors.ConfigError, match=r"fault\.json") as refused:
        receipts.active(where)
    assert "labkit down" in refused.value.hint


def test_a_hidden_fault_tells_what_is_noticed_and_nothing_else(home: Path) -> None:
    where = paths.of("lab")
    hidden = receipts.keep(where, RECEIPT, stage="active", hidden=True)
    for told in (repr(hidden), hidden._repr_html_(), json.dumps(hidden.to_json())):
        assert "30062" in told
        assert "redirect" not in told.lower()
        assert "node2" not in told
    found = receipts.keep(where, hidden, diagnosed=True)
    for told in (repr(found), found._repr_html_(), json.dumps(found.to_json())):
        assert "dead-redirect" in told
        assert "node2" in told
    assert "dead-redirect" in repr(receipts.keep(where, hidden, stage="cleared"))


def test_the_listing_shows_all_faults_and_the_one_that_the_lab_has(home: Path) -> None:
    told = results.Listing(receipts.keep(paths.of("lab"), RECEIPT, stage="active"))
    assert "proxy-hung" in repr(told)
    assert "Fault dead-redirect on node2" in repr(told)
    assert told.to_json()["active"]["did"] == [
        "labkit exec node2 -- sh -c 'echo $1' sh dead-redirect"
    ]
    assert "no fault now" in repr(results.Listing())


@pytest.mark.parametrize(
    ("cleared", "said"),
    [
        (results.Cleared(), "The lab has none."),
        (results.Cleared("mtu", "node1"), "to the letter"),
        (results.Cleared("mtu", "node1", unanswered=("client asks x",)), "still no answer"),
        (results.Cleared("mtu", "node1", differences=("node1: +a",)), "node1: +a"),
        (results.Cleared("lost-label", fault.CLUSTER), "in the objects of the API"),
    ],
)
def test_what_clearing_found_is_told(cleared: results.Cleared, said: str) -> None:
    assert said in repr(cleared)
    assert cleared.ok == (not cleared.unanswered and not cleared.differences)
    assert cleared.to_json()["schema"] == "labkit.dev/fault-cleared"


def test_a_grade_tells_which_part_is_wrong_but_not_what_would_be_right() -> None:
    grade = results.Grade(node=True, layer=False, cause=False, repaired=False)
    assert "node: right" in repr(grade)
    assert "layer: wrong" in repr(grade)
    assert not grade.ok
    right = results.Grade(node=True, layer=True, cause=True, repaired=True, fault="mtu")
    assert right.ok
    assert right.to_json()["ok"]
    assert "576 bytes" in repr(right)


def test_requests_to_the_api_server_are_shown_as_kubectl_takes_them() -> None:
    change = fault.patch(resources.SERVICES, "app1", {"spec": {"selector": {"name": "x"}}})
    assert change.line.startswith("labkit kubectl patch services app1 --type=merge -p '{")
    assert fault.delete(resources.PODS, "app1-1").line == "labkit delete pods app1-1"
    assert fault.create(example.SERVICE).line.endswith("| labkit apply -f -")


def test_a_big_request_is_fed_from_nothing_that_has_to_be_typed() -> None:
    ask = fault.Ask("node1", "http://10.244.2.2:8080/", body=3000)
    assert "with 3000 bytes" in ask.words
    assert len(ask.line) < 300
