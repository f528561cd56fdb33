"""A connection's record in the proxy's journal, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def say_asked(record: Mapping[str, Any]) -> str:
    """The address that the client asked."""
    return str(record["destination"] or "an address that nobody knows")


def say_chosen(record: Mapping[str, Any]) -> str:
    """The pod that was chosen, and why: `app1-2 at 10.244.2.2:8080 by round robin, 2 of 3`."""
    place = f", {record['position']} of {record['of']}" if record.get("position") else ""
    pod = record.get("pod") or "an endpoint"
    return f"{pod} at {record['endpoint']} by {record['chosenBy']}{place}"
