from hypothesis import given
from hypothesis import strategies as st

from labkit.display import table


def test_aligns_numbers_right_and_words_left() -> None:
    drawn = table.render_table(["pod", "hits"], [["a", 12], ["longer", 3]], title="Answers")

    assert drawn.splitlines() == ["Answers", "POD     HITS", "a         12", "longer     3"]


def test_without_rows_only_headings_remain() -> None:
    assert table.render_table(["pod", "hits"], []) == "POD  HITS"


def test_a_wide_table_wraps_its_widest_column() -> None:
    drawn = table.render_table(["n", "rule", "end"], [["1", "word " * 30, "x"]], width=40)

    lines = drawn.splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[1].startswith("1  word word")
    assert lines[1].endswith("x")
    assert lines[2].startswith("   word")


def test_what_cannot_be_squeezed_stays_readable() -> None:
    drawn = table.render_table(["a", "b"], [["x" * 30, "y" * 30]], width=20)

    assert max(map(len, drawn.splitlines())) == 2 * table.NARROWEST + len(table.GAP)


def test_control_characters_do_not_reach_the_terminal() -> None:
    drawn = table.render_table(["pod"], [["\x1b[31mred\nnext"]])

    assert "\x1b" not in drawn
    assert drawn.splitlines()[1] == r"\x1b[31mred\nnext"


@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=5))
def test_never_wider_than_asked_and_never_unprintable(rows: list[tuple[str, str]]) -> None:
    drawn = table.render_table(["one", "two"], rows)

    lines = drawn.split("\n")
    assert all(len(line) <= table.WIDTH for line in lines)
    assert all(line.isprintable() for line in lines)
