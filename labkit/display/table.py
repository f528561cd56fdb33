"""Tables in plain text: aligned columns, headings in capitals as kubectl prints them, no lines.

A table wider than the page gives up room in its widest column, whose cells then wrap at blanks
and go on under themselves. Text that came from a pod may hold anything, so control characters are
shown as escapes: a table never moves the reader's cursor.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

#: A terminal of 100 columns, or half of a wide screen.
WIDTH = 100
#: The widest column is not squeezed below this; a line of rule text stays readable.
NARROWEST = 24
GAP = "  "


def render_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "", width: int = WIDTH
) -> str:
    """Draw a table of at most `width` columns where that can be.

    >>> print(render_table(["pod", "hits"], [["app1-a", 12], ["app1-bc", 3]], title="Answers"))
    Answers
    POD      HITS
    app1-a     12
    app1-bc     3
    """
    drawn = lay_out(columns, rows, width=width)
    return "\n".join([*([clean(title)] if title else []), *(line for row in drawn for line in row)])


def lay_out(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, width: int = WIDTH
) -> list[list[str]]:
    """Draw the lines of the headings, then those of each row."""
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    headings = [clean(column).upper() for column in columns]
    widths = _fit(_natural_widths([headings, *cells]), width)
    right = [bool(rows) and all(isinstance(row[i], int) for row in rows) for i in _span(columns)]
    return [list(_render_row(row, widths, right)) for row in [headings, *cells]]


def clean(text: str) -> str:
    """`text` on one line, with everything that is not printable written as an escape."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width`; a word that is longer is broken. Never empty."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _span(columns: Sequence[str]) -> range:
    return range(len(columns))


def _natural_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def _fit(widths: list[int], width: int) -> list[int]:
    """Take what is too much from the widest column, down to NARROWEST; then from the next one."""
    fitted = list(widths)
    for index in sorted(range(len(fitted)), key=lambda i: -widths[i]):
        excess = sum(fitted) + len(GAP) * (len(fitted) - 1) - width
        fitted[index] -= max(0, min(excess, fitted[index] - NARROWEST))
    return fitted


def _render_row(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    wrapped = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*wrapped, fillvalue=""):
        aligned = [
            part.rjust(width) if to_right else part.ljust(width)
            for part, width, to_right in zip(parts, widths, right, strict=True)
        ]
        yield GAP.join(aligned).rstrip()
