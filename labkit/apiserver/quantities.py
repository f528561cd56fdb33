"""Resource quantities: `100m`, `128Mi`, `1e3`. The lab keeps them as they were written."""

from __future__ import annotations

import re

SYNTAX = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[EPTGMK]i|[numkMGTPE]?)")
SYNTAX_ERROR = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
