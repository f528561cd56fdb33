"""The programs that the agent runs, and what it makes of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from labkit import errors
from labkit.agent import addresses, conntrack, kernel
from labkit.model import rules, ruletext
from tests.unit.agent import fakes

GOLDEN = Path(__file__).parents[2] / "cases" / "golden" / "02-app1-nodeport" / "userspace.rules"
FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/31 1 0 0
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 127.255.255.255
        /32 link BROADCAST
     |-- 192.168.56.11
        /32 host LOCAL
     |-- 192.168.56.255
        /32 link BROADCAST
"""


def printing(text: str) -> fakes.FakeRunner:
    return fakes.FakeRunner({"iptables-save": kernel.Finished(0, text, "")})


def test_when_nothing_differs_nothing_is_run_but_iptables_save() -> None:
    runner = printing(GOLDEN.read_text())
    ruleset = ruletext.parse_ruleset(GOLDEN.read_text())
    wanted = {
        chain.name: chain.rules
        for table in ruleset.tables
        for chain in table.chains
        if chain.name.startswith("KUBE-")
    }
    assert not kernel.Kernel(runner).apply(wanted)
    assert [argv for argv, _ in runner.ran] == [("iptables-save",)]


class CountingRunner(fakes.FakeRunner):
    """iptables on a kernel that counts what is committed, as that of nf_tables does."""

    generation = 7

    def __call__(self, argv: Sequence[str], stdin: str) -> kernel.Finished:
        self.generation += stdin.count("COMMIT\n")
        return super().__call__(argv, stdin)

    def programs(self) -> list[str]:
        ran, self.ran = [argv[0] for argv, _ in self.ran], []
        return ran


def test_what_nobody_has_changed_is_not_read_again() -> None:
    runner = CountingRunner({"iptables-save": kernel.Finished(0, GOLDEN.read_text(), "")})
    ours = kernel.Kernel(runner, lambda: runner.generation)
    one = {"KUBE-PORTALS-HOST": [rules.Rule("KUBE-PORTALS-HOST", "-j ACCEPT")]}
    assert ours.apply({})
    assert runner.programs() == ["iptables-save", "iptables-restore"]
    assert not ours.apply({})
    assert not ours.is_flushed()
    assert runner.programs() == []
    assert ours.apply(one)
    [(_, text)] = runner.ran
    assert text == "*nat\n-A KUBE-PORTALS-HOST -j ACCEPT\nCOMMIT\n"
    assert runner.programs() == ["iptables-restore"]
    runner.generation += 1  # somebody else
    assert not ours.is_flushed()
    ours.apply(one)
    assert runner.programs()[:2] == ["iptables-save", "iptables-save"]


def test_a_change_by_others_during_ours_is_looked_for_next_time() -> None:
    runner = CountingRunner({})
    ours = kernel.Kernel(runner, lambda: runner.generation)
    ours.apply({})
    runner.programs()
    generations = iter([runner.generation, runner.generation + 2])
    ours._read_generation = lambda: next(generations)
    ours.apply({"KUBE-PORTALS-HOST": [rules.Rule("KUBE-PORTALS-HOST", "-j ACCEPT")]})
    ours._read_generation = lambda: 9
    runner.programs()
    ours.apply({})
    assert "iptables-save" in runner.programs()


@pytest.mark.parametrize("generation", [None, 7], ids=["unknown", "iptables-legacy: not counted"])
def test_without_a_count_the_rules_are_read_each_time(generation: int | None) -> None:
    runner = fakes.FakeRunner({"iptables-save": kernel.Finished(0, GOLDEN.read_text(), "")})
    ours = kernel.Kernel(runner, lambda: generation)
    for _ in range(2):
        ours.apply({})
    assert [argv[0] for argv, _ in runner.ran].count("iptables-save") == 2


def test_a_batch_that_failed_leaves_nothing_known() -> None:
    runner = CountingRunner({"iptables-restore": kernel.Finished(1, "", "line 2 failed")})
    ours = kernel.Kernel(runner, lambda: runner.generation)
    for _ in range(2):
        with pytest.raises(errors.CommandFailed, match="line 2 failed"):
            ours.apply({})
    assert runner.programs() == ["iptables-save", "iptables-restore"] * 2


def test_a_difference_is_one_batch() -> None:
    runner = printing(GOLDEN.read_text())
    assert kernel.Kernel(runner).apply({})
    [_, (argv, batch)] = runner.ran
    assert argv == ("iptables-restore", "--noflush", "-w", "5")
    assert batch.startswith("*filter\n-D KUBE-NODEPORT-NON-LOCAL 1\nCOMMIT\n*nat\n")


def test_cleanup_is_one_batch_and_nothing_when_there_is_nothing() -> None:
    runner = printing(GOLDEN.read_text())
    assert kernel.Kernel(runner).clean_up()
    assert runner.ran[-1][1].endswith("-X KUBE-NODEPORT-HOST\nCOMMIT\n")
    assert not kernel.Kernel(printing("")).clean_up()


def test_a_program_that_fails_is_named_with_its_last_words() -> None:
    runner = fakes.FakeRunner({"iptables-save": kernel.Finished(4, "", "Permission denied")})
    with pytest.raises(errors.CommandFailed, match="`iptables-save` ended with status 4: Perm"):
        kernel.Kernel(runner).save()


def test_a_program_that_is_missing_names_its_package() -> None:
    with pytest.raises(errors.CommandFailed) as caught:
        kernel.run_program(["iptables-not-there"], "")
    assert caught.value.exit_status == 127
    assert "apt-get install iptables" in caught.value.hint


def test_a_program_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TIMEOUT_S", 0.05)
    with pytest.raises(errors.CommandFailed, match="no end"):
        kernel.run_program(["sleep", "60"], "")


def test_US_70_no_connection_tracking_is_only_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_portals: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(conntrack, "forget_udp_flows", refuse)
    kernel.Kernel(fakes.FakeRunner({})).forget_udp_flows({("10.96.0.10", 53): 0})
    assert "Operation not permitted" in caplog.text


def test_local_addresses_are_the_kernel_s() -> None:
    local = addresses.parse_fib_trie(FIB_TRIE)
    assert {str(address) for address in local} == {"127.0.0.1", "192.168.56.11"}
    assert "127.0.0.1" in {str(address) for address in addresses.read_local()}
