"""Who did what in which order, as inline SVG: a lane for each place, a row for each event."""

from __future__ import annotations

import html
from collections.abc import Sequence

from labkit.display import theme

#: Sizes in the drawing's own units, about a pixel each.
_LANE, _ROW, _HEAD, _WORDS = 110, 30, 44, 430
#: So many characters of an event's words fit beside the lanes, in bold; all of it is in the text.
_FIT = 57


def render(events: Sequence[tuple[str, str]], *, title: str) -> str:
    """Draw events, each the lane where it happens and its words. All of it is in the description.

    Each event carries `data-mark` with its number, from 0, for whoever steps through them.
    """
    lanes = list(dict.fromkeys(lane for lane, _ in events))
    width = _LANE * len(lanes) + _WORDS
    height = _HEAD + _ROW * len(events)
    told = "; ".join(f"{number}. {lane}: {words}" for number, (lane, words) in enumerate(events, 1))
    heads = "".join(_draw_lane(index, lane, height) for index, lane in enumerate(lanes))
    places = [lanes.index(lane) for lane, _ in events]
    rows = "".join(
        _draw_event(number, places[max(0, number - 1)], places[number], len(lanes), words)
        for number, (_, words) in enumerate(events)
    )
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" '
        f'style="width:100%;max-width:{width}px;color:{theme.TEXT.css}" '
        'font-size="12" font-family="sans-serif">'
        f"<title>{html.escape(title)}</title><desc>{html.escape(told)}</desc>{heads}{rows}</svg>"
    )


def _x(lane: int) -> float:
    return _LANE * lane + _LANE / 2


def _draw_lane(index: int, name: str, height: int) -> str:
    """Its name on two lines at most, and the line down."""
    first, _, second = name.partition(" on ")
    lines = [first, f"on {second}"] if second else [first]
    text = "".join(
        f'<text x="{_x(index):g}" y="{14 + 14 * row}" text-anchor="middle" fill="currentColor">'
        f"{html.escape(line)}</text>"
        for row, line in enumerate(lines)
    )
    return (
        f'{text}<line x1="{_x(index):g}" y1="{_HEAD - 8}" x2="{_x(index):g}" y2="{height}" '
        f'style="stroke:{theme.BORDER.css}"/>'
    )


def _draw_event(number: int, before: int, lane: int, lanes: int, words: str) -> str:
    """The way from the event before, a numbered dot, and the words."""
    y = _HEAD + _ROW * number + _ROW / 2 - 4
    way = ""
    if before != lane:
        way = (
            f'<line x1="{_x(before):g}" y1="{y - _ROW:g}" x2="{_x(lane):g}" y2="{y:g}" '
            f'stroke-width="2" style="stroke:{theme.ACCENT.css}"/>'
        )
    short = words if len(words) <= _FIT else f"{words[: _FIT - 2].rstrip()} …"
    return (
        f'{way}<g data-mark="{number}">'
        f'<circle cx="{_x(lane):g}" cy="{y:g}" r="9" stroke-width="2" '
        f'style="fill:{theme.PAGE.css};stroke:{theme.ACCENT.css}"/>'
        f'<text x="{_x(lane):g}" y="{y + 4:g}" text-anchor="middle" font-size="10" '
        f'fill="currentColor">{number + 1}</text>'
        f'<text x="{_LANE * lanes + 8}" y="{y + 4:g}" fill="currentColor">'
        f"{html.escape(short)}</text></g>"
    )
