"""Bars for a few named counts, as inline SVG that takes the notebook's own colours."""

from __future__ import annotations

import html
from collections.abc import Sequence

from labkit.display import theme

#: Sizes in the drawing's own units, about a pixel each.
_WIDTH, _ROW, _NAME, _COUNT = 560, 24, 200, 48


def render(rows: Sequence[tuple[str, int]], *, title: str) -> str:
    """Draw a bar for each row. The same numbers are in its description, for those who listen."""
    most = max((count for _, count in rows), default=0)
    drawn = "".join(_bar(index, name, count, most) for index, (name, count) in enumerate(rows))
    told = "; ".join(f"{name}: {count}" for name, count in rows) or "nothing"
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {_ROW * max(1, len(rows))}" '
        f'style="width:100%;max-width:{_WIDTH}px;color:{theme.TEXT.css}" '
        'font-size="13" font-family="sans-serif">'
        f"<title>{html.escape(title)}</title><desc>{html.escape(told)}</desc>{drawn}</svg>"
    )


def _bar(index: int, name: str, count: int, most: int) -> str:
    room = _WIDTH - _NAME - _COUNT
    length = round(room * count / most) if most else 0
    top, middle = index * _ROW, index * _ROW + _ROW / 2
    return (
        f'<text x="{_NAME - 8}" y="{middle:g}" text-anchor="end" dominant-baseline="central" '
        f'fill="currentColor">{html.escape(name)}</text>'
        f'<rect x="{_NAME}" y="{top + 4}" width="{length}" height="{_ROW - 8}" rx="2" '
        f'style="fill:{theme.ACCENT.css}"/>'
        f'<text x="{_NAME + length + 6}" y="{middle:g}" dominant-baseline="central" '
        f'fill="currentColor">{count}</text>'
    )
