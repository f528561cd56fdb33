"""Resource quantities: `100m`, `128Mi`, `1e3`. The lab keeps them as they were written."""

from __future__ import annotations

import math
import re
from decimal import Decimal

SYNTAX = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[EPTGMK]i|[numkMGTPE]?)")
SYNTAX_ERROR = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def thousandths(text: str) -> int:
    """A valid quantity in thousandths, rounded up, so that quantities can be compared.

    >>> [thousandths(text) for text in ("250m", "1.5", "1Ki", "1e3")]
    [250, 1500, 1024000, 1000000]
    """
    number = text.rstrip("nukKmMGTPEi")
    suffix = text.removeprefix(number)
    factor = 1024 ** _BINARY[suffix] if suffix in _BINARY else Decimal(10) ** _DECIMAL[suffix]
    return math.ceil(Decimal(number) * factor * 1000)
