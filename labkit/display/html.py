"""A document as HTML for notebooks: the same facts as its text, nothing that needs a kernel.

Real tables with captions and header cells, `<details>` for what can be folded, styles inline so
that an output keeps its look when it is saved, and every piece of text escaped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from labkit.display import document, theme

_TABLE = f"border-collapse:collapse;margin:0.4em 0;color:{theme.TEXT.css}"
_CAPTION = "caption-side:top;text-align:left;font-weight:bold;padding:0.2em 0"
_CELL = (
    f"border-bottom:1px solid {theme.BORDER.css};padding:0.2em 1em 0.2em 0;"
    "text-align:{align};vertical-align:top;font-weight:{weight}"
)
#: In a narrow window one scrolls to a long text; a word on each line nobody would read.
_LONG = ";min-width:14em"
#: Commands and names of files stand in backticks, as in the text form.
_CODE_SPAN = re.compile(r"`([^`]+)`")
_CODE = f"font-family:{theme.CODE_FONT};white-space:pre-wrap;word-break:normal;margin:0.4em 0"


def render(section: document.Section) -> str:
    """Draw `section` as one `<section>`; the sections inside it can be folded."""
    body = "".join(_block(block) for block in section.blocks)
    return (
        f'<section class="labkit" style="color:{theme.TEXT.css}">'
        f"<p><strong>{html.escape(section.heading)}</strong></p>{body}</section>"
    )


def render_table(
    columns: Sequence[str], rows: Sequence[Sequence[document.Cell]], *, title: str = ""
) -> str:
    """Draw one table; its twin in plain text is `table.render_table`."""
    return _table(document.Table(tuple(columns), rows, title))


def _block(block: document.Block) -> str:
    match block:
        case document.Section():
            body = "".join(_block(inner) for inner in block.blocks)
            return (
                f"<details open><summary>{html.escape(block.heading)}</summary>"
                f'<div style="margin-left:1em">{body}</div></details>'
            )
        case document.Table():
            return _table(block)
        case document.Items():
            items = "".join(f"<li>{_inline(item)}</li>" for item in block.texts)
            return f"<ul>{items}</ul>"
        case document.Code():
            lines = html.escape("\n".join(block.lines))
            return f'<pre style="{_CODE}">{lines}</pre>'
        case _:
            return f"<p>{_inline(block.text)}</p>"


def _table(block: document.Table) -> str:
    caption = f'<caption style="{_CAPTION}">{html.escape(block.caption)}</caption>'
    rows = "".join(_row(row) for row in block.rows) or _empty_row(block)
    *short, last = block.columns
    headings = [*map(_heading, short), _heading(last, _LONG if block.long_last else "")]
    return (
        f'<table style="{_TABLE}">{caption if block.caption else ""}'
        f"<thead><tr>{''.join(headings)}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _heading(column: str, more: str = "") -> str:
    style = _CELL.format(align="left", weight="bold") + more
    return f'<th scope="col" style="{style}">{html.escape(column)}</th>'


def _row(row: Sequence[document.Cell]) -> str:
    name, *cells = row
    style = _CELL.format(align="left", weight="normal")
    return (
        f'<tr><th scope="row" style="{style}">{_inline(name)}</th>{"".join(map(_cell, cells))}</tr>'
    )


def _cell(cell: document.Cell) -> str:
    style = _CELL.format(align="right" if isinstance(cell, int) else "left", weight="normal")
    return f'<td style="{style}">{_inline(cell)}</td>'


def _empty_row(block: document.Table) -> str:
    style = _CELL.format(align="left", weight="normal")
    empty = html.escape(block.empty)
    return f'<tr><td colspan="{len(block.columns)}" style="{style}">{empty}</td></tr>'


def _inline(cell: document.Cell) -> str:
    words = _CODE_SPAN.sub(r"<code>\1</code>", html.escape(str(cell)))
    if not isinstance(cell, document.Mark):
        return words
    glyph, token = theme.SIGNS[cell.tone]
    return f'<span aria-hidden="true" style="color:{token.css}">{glyph}</span>&nbsp;{words}'
