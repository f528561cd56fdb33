"""Text and HTML are drawn from one document: whatever it holds is in both."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

import pytest

from labkit.display import document, html, shown, text, theme

EVIL = '<script>alert("&")</script>'

DOCUMENT = document.Section(
    "Lab one",
    (
        document.Text("Three nodes."),
        document.Text(document.bad("node2 does not answer")),
        document.Items(("one thing", "another " * 14)),
        document.Table(("node", "state"), [["node1", document.good("running")]], "Nodes"),
        document.Table(("node", "hits", "rule"), [["node1", 3, "-j ACCEPT"]], long_last=True),
        document.Table(("pod",), [], "Pods"),
        document.Table(("pod",), [], empty="no pods"),
        document.Section(f"Details {EVIL}", (document.Code(("curl a", f"curl {EVIL}")),)),
    ),
)

VOID = {"br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Collects the text, and fails on tags that do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(markup)
    reader.close()
    assert not reader.open
    return reader


def test_text_is_laid_out_with_air_around_tables() -> None:
    assert text.render(DOCUMENT).splitlines() == [
        "Lab one",
        "  Three nodes.",
        "  node2 does not answer",
        "",
        "  * one thing",
        f"  * {'another ' * 11}another",
        "    another another",
        "",
        "  Nodes",
        "  NODE   STATE",
        "  node1  running",
        "",
        "  NODE   HITS",
        "  node1     3",
        "    -j ACCEPT",
        "",
        "  Pods: none",
        "",
        "  no pods",
        "",
        f"  Details {EVIL}",
        "    curl a",
        f"    curl {EVIL}",
    ]


def test_html_nests_and_holds_every_word_of_the_text() -> None:
    reader = read(html.render(DOCUMENT))

    said = {word.lower() for word in reader.words}
    assert {word.lower().rstrip(":") for word in text.render(DOCUMENT).split()} <= said | {"*"}
    assert "script" not in [tag for tag, _ in reader.tags]


def test_html_tables_are_real_tables() -> None:
    tags = read(html.render_table(["node", "hits"], [["node1", 3]], title="Nodes")).tags

    assert [tag for tag, _ in tags] == (
        ["table", "caption", "thead", "tr", "th", "th", "tbody", "tr", "th", "td"]
    )
    assert [attrs["scope"] for tag, attrs in tags if tag == "th"] == ["col", "col", "row"]


def test_a_long_text_keeps_a_width_that_one_can_read() -> None:
    wide = [each for each in html.render(DOCUMENT).split("<th ") if "min-width" in each]
    assert [each.partition(">")[2].partition("<")[0] for each in wide] == ["rule"]


def test_a_tone_is_a_sign_that_screen_readers_skip_beside_words() -> None:
    markup = html.render_table(["state"], [[document.bad("gone")]])

    assert f'<span aria-hidden="true" style="color:{theme.BAD.css}">✗</span>&nbsp;gone' in markup


def test_what_stands_in_backticks_is_code() -> None:
    said = document.Section("Try", (document.Text("type `labkit <up>`, then look"),))
    assert "type <code>labkit &lt;up&gt;</code>, then" in html.render(said)
    assert "type `labkit <up>`, then" in text.render(said)


def test_sections_inside_can_be_folded() -> None:
    assert [tag for tag, _ in read(html.render(DOCUMENT)).tags].count("details") == 1


def test_colours_are_tokens_of_the_theme() -> None:
    for _, attrs in read(html.render(DOCUMENT)).tags:
        for declaration in (attrs.get("style") or "").split(";"):
            if "color:" in declaration:
                assert "var(--jp-" in declaration


@pytest.mark.parametrize("token", [theme.GOOD, theme.BAD])
@pytest.mark.parametrize("page", ["#ffffff", "#111111", "#1e1e1e"])
def test_signs_can_be_told_from_any_page_without_a_theme(token: theme.Token, page: str) -> None:
    assert theme.contrast(token.fallback, page) >= 3


@pytest.mark.parametrize("token", [theme.GOOD, theme.BAD])
def test_signs_can_be_told_in_both_themes(token: theme.Token) -> None:
    assert theme.contrast(token.light, theme.PAGE.light) >= 3
    assert theme.contrast(token.dark, theme.PAGE.dark) >= 3


def test_words_can_be_read_in_both_themes() -> None:
    assert theme.contrast(theme.TEXT.light, theme.PAGE.light) >= 7
    assert theme.contrast(theme.TEXT.dark, theme.PAGE.dark) >= 7


def test_contrast_is_that_of_wcag() -> None:
    assert round(theme.contrast("#000000", "#ffffff"), 1) == 21
    assert round(theme.contrast("#777777", "#ffffff"), 2) == 4.48


@dataclass(frozen=True, slots=True, repr=False)
class Greeting(shown.Shown):
    name: str

    def document(self) -> document.Section:
        return document.Section(f"Hello {self.name}", ())


def test_a_shown_value_has_both_forms() -> None:
    value = Greeting("a & b")

    assert repr(value) == "Hello a & b"
    assert "<strong>Hello a &amp; b</strong>" in value._repr_html_()
