"""What the live widgets draw, and what they say about it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from labkit.display import bars, theme
from labkit.widgets import chains

BEFORE = {("node1", "nat", "-A A -j B"): 3, ("node1", "nat", "-A A -j C"): 5}


def test_only_counters_that_rose_have_moved() -> None:
    after = {("node1", "nat", "-A A -j B"): 4, ("node1", "nat", "-A A -j C"): 5}
    assert chains.find_moved(BEFORE, after) == {("node1", "nat", "-A A -j B"): 1}


def test_a_rule_written_anew_counts_from_nothing() -> None:
    after = {("node1", "nat", "-A A -j B"): 1, ("node2", "nat", "-A A -j B"): 2}
    assert chains.find_moved(BEFORE, after) == {("node2", "nat", "-A A -j B"): 2}


def test_it_says_how_many_moved_and_where() -> None:
    assert chains.say_moved({}) == "no counter has moved since the last look"
    one = {("node1", "nat", "a"): 1}
    assert chains.say_moved(one) == "1 rule moved, on node1"
    more = {**one, ("node2", "nat", "a"): 1, ("node2", "nat", "b"): 1}
    assert chains.say_moved(more) == "3 rules moved, on node1, node2"


def test_bars_are_as_long_as_their_counts_and_say_them() -> None:
    drawn = ET.fromstring(bars.render([("app1 <1>", 10), ("app1-2", 5)], title="Who answered"))
    lengths = [int(rect.get("width", "")) for rect in drawn.iter("rect")]
    assert lengths[0] == 2 * lengths[1]
    assert [each.text for each in drawn.iter("desc")] == ["app1 <1>: 10; app1-2: 5"]


def test_bars_of_nothing() -> None:
    assert "nothing" in bars.render([], title="Who answered")
    drawn = ET.fromstring(bars.render([("none", 0)], title="Who answered"))
    assert [rect.get("width") for rect in drawn.iter("rect")] == ["0"]


def test_drawings_take_the_colours_of_the_notebook() -> None:
    assert theme.ACCENT.css in bars.render([("a", 1)], title="t")
