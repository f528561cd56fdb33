"""Kubernetes' two ways to write a moment: RFC 3339 in whole seconds, or with microseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def render(seconds: float) -> str:
    """Seconds since the epoch as `metav1.Time` writes them.

    >>> render(0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse(text: str) -> float:
    """Seconds since the epoch. Raises ValueError.

    >>> parse("1970-01-01T00:01:00.5Z")
    60.5
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def is_valid(text: str) -> bool:
    """True for RFC 3339 with a time zone: what Go's decoder takes."""
    try:
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def render_age(seconds: float) -> str:
    """How long ago, in at most two units, as kubectl's AGE column has it.

    >>> [render_age(s) for s in (-2, 5, 119, 185, 900, 7300, 90000, 172800, 40000000)]
    ['<invalid>', '5s', '119s', '3m5s', '15m', '121m', '25h', '2d', '462d']
    """
    if seconds < -1:
        return "<invalid>"
    s = int(max(seconds, 0))
    if s < 120:
        return f"{s}s"
    m = s // 60
    if m < 180:
        return f"{m}m{s % 60}s" if m < 10 and s % 60 else f"{m}m"
    h = m // 60
    if h < 48:
        return f"{h}h{m % 60}m" if h < 8 and m % 60 else f"{h}h"
    d = h // 24
    if d < 365 * 2:
        return f"{d}d{h % 24}h" if d < 8 and h % 24 else f"{d}d"
    return _years(d)


def _years(days: int) -> str:
    years, rest = divmod(days, 365)
    return f"{years}y{rest}d" if years < 8 and rest else f"{years}y"
