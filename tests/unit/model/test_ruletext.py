"""The text of iptables-save, there and back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.model import rules, ruletext

GOLDEN = Path(__file__).parents[2] / "cases" / "golden"
CAPTURED = sorted(GOLDEN.glob("*/*.rules"))
#: One rule, and more, of each match and target: what a kernel gave back, by both of its interfaces.
COUNTED = sorted((GOLDEN.parent / "rules").glob("*.rules"))

names = st.from_regex(r"[A-Z][A-Z0-9-]{0,20}", fullmatch=True)
counters = st.builds(rules.Counters, st.integers(0, 2**63), st.integers(0, 2**63))
words = st.one_of(
    st.from_regex(r"--?[a-z][a-z-]{0,8}", fullmatch=True),
    st.from_regex(r"[0-9./:,!]{1,12}", fullmatch=True),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12).map(
        lambda text: rules.quote(f" {text} ")
    ),
)
specs = st.lists(words, max_size=8).map(" ".join)


@st.composite
def rulesets(draw: st.DrawFn, *, counted: bool) -> rules.Ruleset:
    tables = []
    for table in draw(st.lists(names, unique=True, max_size=3)):
        chains = [
            rules.Chain(
                name,
                draw(st.sampled_from([None, "ACCEPT", "DROP"])),
                draw(counters),
                tuple(
                    rules.Rule(name, spec, draw(counters) if counted else None)
                    for spec in draw(st.lists(specs, max_size=4))
                ),
            )
            for name in draw(st.lists(names, unique=True, max_size=3))
        ]
        tables.append(rules.Table(table, tuple(chains)))
    return rules.Ruleset(tuple(tables))


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_captured_rules_survive_to_the_letter(path: Path) -> None:
    text = path.read_text()
    kept = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert ruletext.render_ruleset(ruletext.parse_ruleset(text)) == kept


@pytest.mark.parametrize("path", COUNTED, ids=lambda path: path.stem)
def test_every_match_and_target_survives_to_the_letter(path: Path) -> None:
    text = path.read_text()
    kept = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert ruletext.render_ruleset(ruletext.parse_ruleset(text), counters=True) == kept


def read(text: str) -> rules.Ruleset | errors.RuleSyntaxError:
    try:
        return ruletext.parse_ruleset(text)
    except errors.RuleSyntaxError as error:
        return error


@given(st.text(), st.text(st.characters(blacklist_characters="\n")))
def test_any_text_is_read_or_refused_with_its_line(text: str, spec: str) -> None:
    for tried in (text, f"*nat\n:A - [0:0]\n-A A {spec}\nCOMMIT\n"):
        found = read(tried)
        if isinstance(found, rules.Ruleset):
            assert read(ruletext.render_ruleset(found)) == found
        else:
            assert 1 <= found.line <= tried.count("\n") + 1


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc"))))
def test_a_comment_survives_whatever_it_says(said: str) -> None:
    rule = rules.Rule("A", f"-m comment --comment {rules.quote(said)} -j DROP")
    found = ruletext.parse_ruleset(f"*nat\n:A - [0:0]\n{rule.text}\nCOMMIT\n").rules("nat", "A")
    assert found == (rule,)
    assert found[0].comment == said


def test_20_000_rules_take_less_than_a_second() -> None:
    line = '[3:180] -A A -p tcp -m comment --comment "default/app{}:http" -m tcp -j DNAT --to {}'
    many = "\n".join(line.format(number, number) for number in range(20_000))
    text = f"*nat\n:A - [0:0]\n{many}\nCOMMIT\n"
    begun = time.process_time()
    ruleset = ruletext.parse_ruleset(text)
    assert ruletext.render_ruleset(ruleset, counters=True) == text
    assert time.process_time() - begun < 1


@given(rulesets(counted=False))
def test_parse_reads_what_render_writes(ruleset: rules.Ruleset) -> None:
    assert ruletext.parse_ruleset(ruletext.render_ruleset(ruleset)) == ruleset


@given(rulesets(counted=True))
def test_counters_survive_too(ruleset: rules.Ruleset) -> None:
    text = ruletext.render_ruleset(ruleset, counters=True)
    assert ruletext.render_ruleset(ruletext.parse_ruleset(text), counters=True) == text


def test_rules_are_gathered_by_chain() -> None:
    ruleset = ruletext.parse_ruleset(
        "*filter\n:A - [0:0]\n:B - [1:2]\n-A A -j B\n-A B\n-A A -j DROP\nCOMMIT\n"
    )
    assert [rule.spec for rule in ruleset.rules("filter", "A")] == ["-j B", "-j DROP"]
    assert [rule.spec for rule in ruleset.rules("filter", "B")] == [""]


def test_a_rule_s_counters_are_read() -> None:
    ruleset = ruletext.parse_ruleset("*nat\n:A - [0:0]\n[3:180] -A A -j RETURN\nCOMMIT\n")
    assert ruleset.rules("nat", "A")[0].counters == rules.Counters(3, 180)


def test_spaces_to_excess_are_dropped_but_not_in_quotes() -> None:
    ruleset = ruletext.parse_ruleset(
        "*nat\n:A - [0:0]\n"
        '-A A -m physdev  ! --physdev-is-in -m comment --comment "a  b" \nCOMMIT\n'
    )
    assert ruleset.rules("nat", "A")[0].spec == (
        '-m physdev ! --physdev-is-in -m comment --comment "a  b"'
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("-A INPUT -j DROP\n", 1, "outside of any table"),
        ("*nat\n:A - [0:0]\n", 3, "no COMMIT"),
        ("*nat\n*filter\n", 2, "before the table above has ended"),
        ("*nat\n\n-I INPUT -j DROP\nCOMMIT\n", 3, "neither a chain nor a rule"),
        ("*nat\n:A -\nCOMMIT\n", 2, "neither a chain nor a rule"),
        ("*nat\n-A A -j DROP\nCOMMIT\n", 2, "not declared"),
    ],
)
def test_other_text_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(errors.RuleSyntaxError, match=said) as caught:
        ruletext.parse_ruleset(text)
    assert caught.value.line == line
