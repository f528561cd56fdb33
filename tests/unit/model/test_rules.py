"""One rule: its text, and the structure that is read from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.model import rules

LOCAL_NODE_PORT = (
    '-m addrtype --dst-type LOCAL -m comment --comment "handle service NodePorts; NOTE: this" '
    "-j KUBE-NODEPORT-HOST"
)


def test_a_rule_is_its_text() -> None:
    rule = rules.Rule("OUTPUT", LOCAL_NODE_PORT)
    assert rule.text == f"-A OUTPUT {LOCAL_NODE_PORT}"
    assert rules.Rule("OUTPUT", "").text == "-A OUTPUT"


def test_counters_are_no_part_of_what_a_rule_is() -> None:
    assert rules.Rule("OUTPUT", "-j ACCEPT", rules.Counters(3, 180)) == rules.Rule(
        "OUTPUT", "-j ACCEPT"
    )


def test_matches_stand_in_the_order_of_the_text() -> None:
    rule = rules.Rule(
        "FORWARD", "-s 10.0.0.0/8 ! -i eth0 -p tcp -m tcp --dport 80 -m physdev ! --physdev-is-in"
    )
    assert rule.matches == (
        rules.Match("", (rules.Option("-s", ("10.0.0.0/8",)),)),
        rules.Match("", (rules.Option("-i", ("eth0",), negated=True),)),
        rules.Match("", (rules.Option("-p", ("tcp",)),)),
        rules.Match("tcp", (rules.Option("--dport", ("80",)),)),
        rules.Match("physdev", (rules.Option("--physdev-is-in", negated=True),)),
    )
    assert rule.target is None


def test_the_target_keeps_its_options() -> None:
    rule = rules.Rule("OUTPUT", "-d 10.96.0.1/32 -j DNAT --to-destination 192.168.56.11:40193")
    assert rule.target == rules.Target(
        "DNAT", (rules.Option("--to-destination", ("192.168.56.11:40193",)),)
    )
    assert [match.module for match in rule.matches] == [""]


def test_goto_is_told_from_jump() -> None:
    assert rules.Rule("INPUT", "-g ELSEWHERE").target == rules.Target("ELSEWHERE", goto=True)


def test_value_gives_what_stands_after_a_flag() -> None:
    rule = rules.Rule("INPUT", "-p udp -m multiport --dports 53,5353 ! -s 10.0.0.1/32 -j ACCEPT")
    assert rule.value("--dports") == "53,5353"
    assert rule.value("-s") is None
    assert rule.value("--sport") is None
    assert rule.comment == ""


def test_what_stands_in_quotes_is_never_a_flag() -> None:
    rule = rules.Rule("INPUT", '-m comment --comment "-j DROP" -j ACCEPT')
    assert rule.comment == "-j DROP"
    assert rule.target == rules.Target("ACCEPT")


def test_a_comment_may_look_like_a_flag_without_quotes() -> None:
    """iptables-save quotes no string of word letters and hyphens alone."""
    rule = rules.Rule("INPUT", "-m comment --comment -x -j ACCEPT")
    assert rule.comment == "-x"
    assert rule.target == rules.Target("ACCEPT")


def test_a_negative_number_is_a_value() -> None:
    rule = rules.Rule("INPUT", "-m something --offset -5 -j RETURN")
    assert rule.value("--offset") == "-5"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("plain", "plain"), ("default/app1", '"default/app1"'), ('a"b', '"a\\"b"'), ("", '""')],
)
def test_quote_writes_as_iptables_save_does(text: str, quoted: str) -> None:
    assert rules.quote(text) == quoted


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_a_comment_survives_quoting(comment: str) -> None:
    assert rules.Rule("INPUT", f"-m comment --comment {rules.quote(comment)}").comment == comment


def test_a_ruleset_is_asked_by_table_and_chain() -> None:
    rule = rules.Rule("INPUT", "-j ACCEPT")
    chain = rules.Chain("INPUT", "DROP", rules.Counters(), (rule,))
    ruleset = rules.Ruleset((rules.Table("filter", (chain,)),))
    assert ruleset.chain("filter", "INPUT") == chain
    assert ruleset.rules("filter", "INPUT") == (rule,)
    assert ruleset.chain("nat", "INPUT") is None
    assert ruleset.rules("filter", "OUTPUT") == ()
