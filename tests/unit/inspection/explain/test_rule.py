"""Rules in words: the real kube-proxy's, other programs', and text that nobody knows."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.inspection.explain import extensions, matches, reading, rule, targets
from labkit.model import rules, ruletext

CASES = Path(__file__).parents[3] / "cases"
CAPTURED = sorted([*CASES.glob("golden/*/*.rules"), *CASES.glob("rules/*.rules")])


def sentence(text: str) -> str:
    return rule.explain_rule(reading.parse_typed(text).rule).sentence


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_rule_of_a_captured_set_is_unknown(path: Path) -> None:
    for table in ruletext.parse_ruleset(path.read_text()).tables:
        names = [chain.name for chain in table.chains]
        for chain in table.chains:
            for each in chain.rules:
                told = rule.explain_rule(each, table=table.name, chain_names=names)
                assert told.known, each.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            (
                "-A KUBE-PORTALS-HOST -d 10.96.20.1/32 -p tcp -m tcp --dport 8080 "
                "-j DNAT --to-destination 192.168.56.11:40193"
            ),
            (
                "A packet in KUBE-PORTALS-HOST that goes to 10.96.20.1, is TCP and "
                "goes to port 8080 "
                "gets 192.168.56.11:40193 as its destination, and answers come back as if from the "
                "old one (DNAT)."
            ),
        ),
        (
            "-A KUBE-SERVICES ! -s 10.244.0.0/16 -d 10.96.0.1/32 -j KUBE-MARK-MASQ",
            (
                "A packet in KUBE-SERVICES that does not come from an address of 10.244.0.0/16 and "
                "goes to 10.96.0.1 goes on in KUBE-MARK-MASQ (puts on the mark for: leave with the "
                "node's own address), and comes back here if nothing there decides."
            ),
        ),
        (
            '-A X -m comment --comment "a b" -m statistic --mode random --probability 0.3333 -g Y',
            (
                "A packet in X that is drawn by lot, with a chance of 33.3% goes on "
                "in Y and does not "
                'come back to this chain. Remark: "a b".'
            ),
        ),
        ("-A INPUT", "Every packet in INPUT is only counted; the next rule is tried."),
        (
            (
                "-A S -m recent --rcheck --seconds 10800 --reap --name E --mask 255.255.255.255 "
                "--rsource -j E"
            ),
            (
                "A packet in S that comes again: its source address is in the list E, seen in the "
                "last 10800 s goes on in E, and comes back here if nothing there decides."
            ),
        ),
        (
            "-A P -m mark ! --mark 0x4000/0x4000 -j RETURN",
            (
                "A packet in P that does not carry the mark 0x4000 (of the bits "
                "0x4000, kube-proxy's: "
                "masquerade) goes back to the chain that it came from (RETURN)."
            ),
        ),
        (
            "-A F -j REJECT --reject-with icmp-port-unreachable",
            (
                "Every packet in F is dropped, and the sender is told by "
                "icmp-port-unreachable: the "
                "client sees its connection refused."
            ),
        ),
        (
            "-A M -j MARK --set-xmark 0x4000/0x4000",
            (
                "Every packet in M has the bits 0x4000 of its mark set: it will leave "
                "with the node's "
                "own address (masquerade) inside this machine (MARK); the next rule is tried."
            ),
        ),
        (
            "-A K -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT",
            (
                "A packet in K that does not come in by a port of a bridge and does "
                "not come from one "
                "of this machine's own addresses is let through; no later rule of "
                "this table is tried "
                "(ACCEPT)."
            ),
        ),
    ],
)
def test_sentences(text: str, said: str) -> None:
    assert sentence(text) == said


@pytest.mark.parametrize(
    ("typed", "saved"),
    [
        (
            ("sudo iptables -t nat -I PREROUTING 1 --protocol tcp --dport 80 --jump REDIRECT "
            "--to-ports 8080"),
            "-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080",
        ),
        ("iptables -A INPUT -w -W 5 -v -j DROP", "-A INPUT -j DROP"),
        ("-p tcp --dport 22 -j ACCEPT", "-p tcp -m tcp --dport 22 -j ACCEPT"),
        ("iptables -w -A INPUT ! -s 10.0.0.0/8 -j DROP", "-A INPUT ! -s 10.0.0.0/8 -j DROP"),
        (
            "-A INPUT -m comment --comment '-j DROP' -j ACCEPT",
            '-A INPUT -m comment --comment "-j DROP" -j ACCEPT',
        ),
        ("ip6tables -A X -p ipv6-icmp ! --icmpv6-type 1", ("-A X -p ipv6-icmp -m icmp6 ! "
         "--icmpv6-type 1")),
    ],
)  # fmt: skip
def test_typed_rules_become_saved_ones(typed: str, saved: str) -> None:
    assert reading.parse_typed(typed).rule.text == saved


def test_table_and_counters_are_read() -> None:
    found = reading.parse_typed("[3:180] -A X -t nat -j ACCEPT")
    assert (found.table, found.rule.counters) == ("nat", rules.Counters(3, 180))


@pytest.mark.parametrize(
    ("text", "said"), [("", "no rule: nothing"), ("hello", "no rule"), ("-A 'x", "not closed")]
)
def test_what_is_no_rule_is_said(text: str, said: str) -> None:
    with pytest.raises(errors.RuleSyntaxError, match=said):
        reading.parse_typed(text)


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_command_makes_the_same_rule(path: Path) -> None:
    for table in ruletext.parse_ruleset(path.read_text()).tables:
        for chain in table.chains:
            for each in chain.rules:
                typed = reading.parse_typed(rule.render_command(each, table=table.name))
                assert typed.table == ("" if table.name == "filter" else table.name)
                assert typed.rule.options == each.options


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_a_comment_reaches_the_shell_whole(text: str) -> None:
    made = rules.Rule("X", f"-m comment --comment {rules.quote(text)} -j ACCEPT")
    assert text in shlex.split(rule.render_command(made))


def test_what_is_not_known_is_shown_to_the_letter_and_says_so() -> None:
    told = rule.explain_rule(rules.Rule("X", "-m magic --spell 3 -m tcp --wand -j CURSE --deep"))
    assert not told.known
    assert [clause.known for clause in (*told.conditions, told.outcome)] == [False] * 3
    assert "no words for" in told.sentence
    assert "--spell 3" in told.conditions[0].text


@pytest.mark.parametrize("name", sorted(targets.TARGETS))
def test_each_target_has_words_with_and_without_options(name: str) -> None:
    for options in ((), (rules.Option("--to", ("7",)),)):
        told = rule.explain_target(rules.Target(name, options))
        assert told.known
        assert "{}" not in told.words


@pytest.mark.parametrize(
    ("module", "flag"),
    [
        (module, flag)
        for module, words in (extensions.RARER | matches.EVERYDAY).items()
        for flag in words.options
    ],
)
def test_each_option_has_words_for_yes_and_for_no(module: str, flag: str) -> None:
    values = ("1",)
    yes, no = (
        rule.explain_option(module, rules.Option(flag, values, negated))
        for negated in (False, True)
    )
    assert yes.known
    assert " not " in f" {no.words} "
    assert yes.words != no.words
    assert "{}" not in yes.words


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("-m limit --limit 5/min --limit-burst 7", "comes no faster than 5/min (the first 7"),
        ("-m hashlimit --hashlimit-above 9/s --hashlimit-mode srcip --hashlimit-name x", "faster"),
        ("-m connlimit --connlimit-above 3 --connlimit-mask 24 --connlimit-saddr", "more than 3"),
        ("-m set ! --match-set bad src,dst", "is not in the set bad by source,destination"),
        ("-m set --match-set bad", "not named"),
        ("-m string ! --string GET --algo bm", "does not hold the text 'GET'"),
        ("-m time --timestart 08:00", "timestart 08:00"),
        ("-m statistic --mode nth --every 3 --packet 0", "one of every 3"),
        ("-m recent ! --update --hitcount 4 --name x --rdest", "does not come again"),
        ("-m recent --set --name x --rsource", "noted in the list x"),
        ("-m socket", "has open sockets"),
        ("-i cali+ -j LOG --log-prefix hey", "interface called cali..."),
        ("-j MARK --set-xmark 0x1/0xff", "the mark 0x1 (of the bits 0xff)"),
        ("-j MARK --and-mark 0x1", "keeps only the bits 0x1"),
        ("-j MARK --or-mark 0x8000", "it will be dropped"),
        ("-j MARK --xor-mark 0x2", "flipped"),
        ("-j CONNMARK --save-mark", "kept with its connection"),
        ("-j CONNMARK --restore-mark", "given the mark kept"),
        ("-j CT --notrack", "not tracked"),
        ("-j CT --zone 3", "zone 3"),
        ("-j SET --del-set bad src", "taken out of the set bad"),
        ("-j MASQUERADE --to-ports 1-9 --random", "with a port of 1-9, with a port drawn"),
        ("-m mark --mark 0x1", "carries the mark 0x1"),
        ("-m mark --mark 0x1/many", "carries the mark 0x1 (of the bits many)"),
        ("-m statistic --mode random --probability often", "with a chance of often"),
        ("-m statistic --mode random ! --probability 0.25", "is not drawn by lot"),
    ],
)
def test_words_of_many_extensions(spec: str, said: str) -> None:
    told = rule.explain_rule(rules.Rule("X", spec))
    assert told.known
    assert said in told.sentence


def test_text_html_and_json_say_the_same() -> None:
    told = rule.explain_rule(
        reading.parse_typed("iptables -t nat -A X -p udp --dport 53 -j RETURN").rule, table="nat"
    )
    facts = [clause.words for clause in (*told.conditions, told.outcome)]
    as_json = json.dumps(told.to_json())
    assert told.to_json()["schema"] == "labkit.dev/rule-explanation"
    for form in (" ".join(repr(told).split()), told._repr_html_(), as_json):
        assert "goes to port 53" in form
        assert all(word in form for fact in facts for word in fact.split())
    assert "iptables -t nat -A X -p udp -m udp --dport 53 -j RETURN" in repr(told)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_no_text_breaks_the_words(spec: str) -> None:
    rule.explain_rule(rules.Rule("X", spec))


FLAGS = [
    f"-m {module} {flag}"
    for module, words in (extensions.RARER | matches.EVERYDAY).items()
    for flag in words.options or ("--probability", "--match-set", "--limit", "--seconds")
] + [f"-j {name} {flag}" for name in targets.TARGETS for flag in ("--set-xmark", "--to", "")]


@given(st.lists(st.tuples(st.sampled_from(FLAGS), st.text('0123abx/:,.! "-', max_size=6))))
def test_no_value_breaks_the_words(parts: list[tuple[str, str]]) -> None:
    spec = " ".join(f"{flag} {value}" for flag, value in parts)
    told = rule.explain_rule(rules.Rule("X", spec))
    assert told.sentence.endswith(".")


def test_one_option_of_an_extension_that_is_worded_whole() -> None:
    told = rule.explain_option("limit", rules.Option("--limit", ("5/min",)))
    assert (told.known, told.words) == (True, "comes no faster than 5/min")
