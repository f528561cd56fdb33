"""explain: a rule, a file, and what is neither."""

from __future__ import annotations

import json
from pathlib import Path

from labkit.cli import explain
from tests.unit.cli.conftest import Run

GOLDEN = Path(__file__).parents[2] / "cases" / "golden" / "02-app1-nodeport" / "iptables.rules"


def test_a_rule_in_quotes(run: Run) -> None:
    done = run("explain", "-A INPUT -p tcp --dport 22 -j ACCEPT", "-o", "table")
    assert done.exit_code == 0
    assert "A packet in INPUT that is TCP and goes to port 22 is let through" in done.stdout
    assert "iptables -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT" in done.stdout


def test_a_rule_in_words_of_their_own(run: Run) -> None:
    words = ["iptables", "-t", "nat", "-A", "X", "-m", "comment", "--comment", "a b"]
    told = json.loads(run("explain", "-o", "json", "--", *words).stdout)
    assert (told["table"], told["text"]) == ("nat", '-A X -m comment --comment "a b"')


def test_a_whole_file(run: Run) -> None:
    told = json.loads(run("explain", "--file", str(GOLDEN), "-o", "json").stdout)
    assert told["unknown"] == []
    assert sum(len(chain["rules"]) for chain in told["chains"]) == GOLDEN.read_text().count("\n-A ")
    assert "PREROUTING" in run("explain", "--file", str(GOLDEN)).stdout


def test_one_chain_of_stdin(run: Run) -> None:
    done = run("explain", "--file", "-", "--chain", "INPUT", stdin=GOLDEN.read_text())
    assert "stdin: 1 rules in 2 chains" in done.stdout


def test_errors_say_what_to_do(run: Run, tmp_path: Path) -> None:
    assert run("explain").exit_code == 2
    assert "LK-USAGE cannot read" in run("explain", "--file", str(tmp_path / "x")).stderr
    missing = run("explain", "--file", str(GOLDEN), "--chain", "NO")
    assert (missing.exit_code, "it has FORWARD" in missing.stderr) == (4, True)
    assert "LK-RULE-SYNTAX line 1: no rule" in run("explain", "hello").stderr
    assert explain.command.help
