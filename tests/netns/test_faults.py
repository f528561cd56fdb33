"""Every fault on a real lab: real requests go unanswered, and afterwards all is as it was.

One lab for all of them; each leaves it whole for the next, which is what is proven.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from labkit import errors, faults, lab
from labkit.faults import acting, look, receipts, verbs
from labkit.inspection.predict import asking
from labkit.lessons import lesson

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def opened(shared: lab.Lab) -> lab.Lab:
    return shared


@pytest.fixture
def whole(opened: lab.Lab) -> Iterator[lab.Lab]:
    yield opened
    with contextlib.suppress(errors.LabkitError):
        faults.end(opened)


def type_command(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "labkit.cli", *words, "--name=t"]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_fault_breaks_requests_and_is_undone_to_the_letter(whole: lab.Lab, name: str) -> None:
    before = look.look(whole)
    receipt = faults.inject(whole, name)
    assert receipts.active(whole.paths) == receipt
    assert not any(acting.answered(whole, receipt.asks, acting.IMPATIENT_S)), repr(receipt)
    broken = look.differences(before, look.look(whole))
    # Programs that hang, and a process that holds connections, change no rule and no address.
    assert broken or name == "proxy-hung"
    cleared = faults.clear(whole)
    assert cleared.ok, repr(cleared)
    fault = faults.find(name)
    assert not look.differences(before, look.look(whole), fault.redraws)
    assert all(acting.answered(whole, receipt.asks, acting.PATIENT_S)), repr(receipt)


def test_what_kube_proxy_mends_by_itself_stays_broken_until_it_is_cleared(whole: lab.Lab) -> None:
    receipt = faults.inject(whole, "missing-jump", node="node2")
    jump = receipt.do[0].argv[-8:]
    assert jump[-2:] == ("-j", "KUBE-NODEPORT-CONTAINER")
    kept = look.look(whole)
    # As kube-proxy does when its sync period is over.
    whole.exec("node2", ["iptables", "-t", "nat", "-A", "PREROUTING", *receipt.do[0].argv[7:]])
    assert not acting.await_silence(whole, receipt.asks, verbs.BREAKS_S)
    assert not look.differences(kept, look.look(whole))
    assert faults.clear(whole).ok


def test_a_hidden_fault_is_found_mended_by_hand_and_graded(whole: lab.Lab) -> None:
    receipt = faults.inject(whole, "dead-redirect", node="node2", hidden=True)
    assert "redirect" not in repr(receipt).lower()
    assert "REDIRECT" not in json.dumps(receipt.to_json())
    wrong = faults.diagnose(whole, node="node1", layer="rules", cause="dead-dnat")
    assert (wrong.node, wrong.layer, wrong.cause, wrong.repaired) == (False, True, False, False)
    assert wrong.fault == ""
    assert faults.why_unsolved(whole)
    whole.exec("node2", ["iptables", "-t", "nat", "-D", "PREROUTING", "1"])
    grade = faults.diagnose(whole, node="node2", layer="rules", cause="dead-redirect")
    assert grade.ok, repr(grade)
    assert not faults.why_unsolved(whole)
    assert faults.clear(whole).ok
    assert not faults.why_unsolved(whole)


def test_a_fault_that_was_told_has_not_been_found(whole: lab.Lab) -> None:
    assert "hidden" in faults.why_unsolved(whole)
    faults.inject(whole, "lost-label", hidden=True)
    assert faults.clear(whole).ok
    assert faults.diagnose(whole, node="cluster", layer="objects", cause="lost-label").ok
    assert "not found" in faults.why_unsolved(whole)


def test_a_lesson_begins_on_a_whole_lab_whatever_was_broken(whole: lab.Lab) -> None:
    faults.inject(whole, "proxy-dead", node="node1", hidden=True)
    begun = lesson.start("02", whole)
    assert any("undid the fault proxy-dead" in line for line in begun.began.lines)
    assert receipts.load(whole.paths) is None
    for node in whole.spec.cluster:
        assert whole.probe(asking.Request("app1", sender=f"node/{node.name}")).ok
    begun.restore()


def test_another_process_lists_diagnoses_and_clears(whole: lab.Lab) -> None:
    assert type_command("fault", "random", "--seed", "7").returncode == 0
    listed = json.loads(type_command("fault", "-o", "json").stdout)
    assert listed["active"]["hidden"]
    assert (listed["active"]["fault"], listed["active"]["node"]) == ("", "")
    again = type_command("fault", "inject", "mtu")
    assert again.returncode == errors.Busy.exit_code
    assert "hidden" in again.stderr
    graded = type_command("fault", "diagnose", "--node", "node1", "--layer", "clock")
    assert graded.returncode == 1
    cleared = type_command("fault", "clear")
    assert cleared.returncode == 0, cleared
    assert "as before, to the letter" in cleared.stdout
    assert type_command("fault", "clear").returncode == 0
    told = receipts.load(whole.paths)
    assert told
    assert told.fault in cleared.stdout


def test_killed_between_the_receipt_and_the_change(whole: lab.Lab) -> None:
    text = f"""
import os, signal
from labkit import lab, faults
from labkit.faults import acting
acting.run = lambda *_: os.kill(os.getpid(), signal.{signal.SIGKILL.name})
faults.inject(lab.open_lab("t"), "route-missing")
"""
    died = subprocess.run([sys.executable, "-c", text], check=False, env=dict(os.environ))
    assert died.returncode == -signal.SIGKILL
    left = receipts.active(whole.paths)
    assert left
    assert (left.fault, left.stage) == ("route-missing", "injecting")
    assert faults.clear(whole).ok


def test_what_cannot_be_injected_is_refused_and_nothing_has_changed(whole: lab.Lab) -> None:
    before = look.look(whole)
    for name, node, error, said in (
        ("proxy-hangs", None, errors.NothingMatched, "proxy-hangs"),
        ("mtu", "node7", errors.NothingMatched, "node7"),
        ("mtu", "client", errors.UsageError, "outside"),
        ("mtu", "control", errors.UsageError, "a pod of app1"),
        ("selector-typo", "node1", errors.UsageError, "objects"),
    ):
        with pytest.raises(error, match=said):
            faults.inject(whole, name, node=node)
    whole.exec("node1", ["ip", "route", "add", "blackhole", "10.244.2.0/25"])
    try:
        with pytest.raises(errors.ProviderError, match="broken already"):
            faults.inject(whole, "route-missing", node="node1")
    finally:
        whole.exec("node1", ["ip", "route", "del", "blackhole", "10.244.2.0/25"])
    assert not receipts.active(whole.paths)
    assert not look.differences(before, look.look(whole))


def test_a_lab_that_is_stopped_and_one_that_is_not_there(whole: lab.Lab) -> None:
    with lab.open_lab("none") as none, pytest.raises(errors.NothingMatched, match="no lab none"):
        faults.inject(none, "mtu")
    faults.inject(whole, "selector-typo")
    whole.down()
    assert receipts.active(whole.paths)
    with pytest.raises(errors.ProviderError, match="is not running"):
        faults.clear(whole)
    whole.up(example=False)
    cleared = faults.clear(whole)
    assert cleared.ok, repr(cleared)
    assert whole.probe(asking.Request("app1", sender="client", via="node-port")).ok
    whole.down(purge=True)
    assert receipts.load(whole.paths) is None
    whole.up()
