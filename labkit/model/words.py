"""Words that a person typed and nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint: the word that was probably meant, else all there are.

    >>> suggest("workrs", ["clients", "workers"])
    "did you mean 'workers'?"
    >>> suggest("vpn", ["clients", "workers"])
    'known are clients, workers'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
