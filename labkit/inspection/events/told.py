"""What a node tells, as events. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from labkit.inspection import journal
from labkit.inspection.events import event


def is_ready(line: str) -> bool:
    """Whether this is the line that says that from now on everything is heard."""
    return bool(json.loads(line).get("ready"))


def parse(node: str, line: str) -> Iterator[event.Event]:
    """Every event in one line of `on_node`."""
    told = json.loads(line)
    if "journal" in told:
        record = told["journal"]["record"]
        verb = told["journal"]["event"]
        said, client = VERBS[verb](record), record["client"]
        yield event.Event(told["when"], node, "connection", verb, client, said, record)
        return
    by = {"by": told["by"]} if told.get("by") else {}
    for table, rule in told.get("removed", ()):
        yield _rule(node, told["when"], "removed", table, rule, by)
    for table, rule in told.get("added", ()):
        yield _rule(node, told["when"], "added", table, rule, by)


def _rule(
    node: str, when: float, verb: event.Verb, table: str, text: str, by: Mapping[str, str]
) -> event.Event:
    _, chain, rest = text.split(" ", 2) if text.count(" ") > 1 else (*text.split(" "), "")
    details = {"table": table, "rule": text, **by}
    said = ", ".join(part for part in (rest, f"by {by['by']}" if by else "") if part)
    return event.Event(when, node, "rule", verb, f"{table} {chain}", said, details)


def _say_began(record: Mapping[str, Any]) -> str:
    way = f" ({record['way']}, sent by {record['clientIs']})" if record["way"] else ""
    return f"asks {record['servicePort']} at {journal.say_asked(record)}{way}"


def _say_connected(record: Mapping[str, Any]) -> str:
    return f"goes on to {journal.say_chosen(record)}"


def _say_ended(record: Mapping[str, Any]) -> str:
    clock = record["monotonic"]
    lasted_ms = (clock["ended"] - clock["began"]) * 1000
    moved = f"{record['bytesUp']} bytes there, {record['bytesDown']} back"
    return f"{record['outcome']} after {lasted_ms:.1f} ms; {moved}"


#: Each event of the journal, which is a verb too, and what one says of the record then.
VERBS: Mapping[event.Verb, Callable[[Mapping[str, Any]], str]] = {
    "began": _say_began,
    "connected": _say_connected,
    "ended": _say_ended,
}
