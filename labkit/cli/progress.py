"""A long operation, told as it happens: which step of how many, what is awaited, how long so far.

Three tellers for the same events, all on stderr: `live` (rich, on a terminal), plain lines
(elsewhere), JSON lines (for programs). None of them changes what happens.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from typing import TextIO

from labkit.model import events


@contextlib.contextmanager
def watch(how: str, stream: TextIO) -> Iterator[events.Observer]:
    """An observer for one operation: `how` is auto, plain or json."""
    if how == "json":
        yield lambda event: _write(stream, render_json(event))
    elif how == "plain" or not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda event: _write(stream, render_line(event))
    else:
        from labkit.cli import live

        with live.watch(stream) as observer:
            yield observer


def render_json(event: events.Event) -> str:
    """One event as one line of JSON."""
    return json.dumps(
        {"schema": "labkit.dev/event", "version": 1, **dataclasses.asdict(event)},
        separators=(",", ":"),
    )


def render_line(event: events.Event) -> str:
    """One event as a line for a log.

    >>> render_line(events.Event(2, 9, "start sshd", "waiting", "its banner", "node1", 340))
    '[2/9] start sshd: waiting for its banner (node1, 0.3 s)'
    """
    said = {
        "started": "",
        "waiting": f": waiting for {event.detail}",
        "done": ": done",
        "failed": f": failed: {event.detail}",
    }[event.state]
    where = f"{event.node}, " if event.node else ""
    return (
        f"[{event.step}/{event.total}] {event.name}{said} ({where}{event.elapsed_ms / 1000:.1f} s)"
    )


def _write(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()
