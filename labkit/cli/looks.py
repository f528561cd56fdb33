"""Looking more than once: `--diff` compares two looks, `--watch` goes on until Ctrl-C."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from labkit import errors
from labkit.cli import options, output, session
from labkit.inspection import changes

_CLEAR = "\x1b[H\x1b[2J"
_DURATION = re.compile(r"\d+(\.\d+)?(ms|s|m|h)")


def diff(take: Callable[[], output.Showable], since: str, current: session.Session) -> None:
    """Compare with a saved `-o json`, or with a look taken so long before: `before.json`, `5s`."""
    if _DURATION.fullmatch(since):
        before = take().to_json()
        current.world.pause(options.Duration().convert(since, None, None))
    else:
        before = _saved(Path(since))
    after = take().to_json()
    if before.get("schema") != after.get("schema"):
        raise errors.UsageError(
            f"{since} holds {before.get('schema') or 'no inspection'}, not {after.get('schema')}",
            hint="save it by the same command with -o json",
        )
    output.show(changes.find_changes(before, after, name=_name(after)), current.output)


def watch(take: Callable[[], output.Showable], interval_s: float, current: session.Session) -> None:
    """Show it again and again; what is new is marked. With -o json, a line for each change."""
    drawn = current.output == "table" and current.world.draws()
    seen: output.Showable | None = None
    try:
        while True:
            now = take()
            _redraw(seen, now, current, drawn=drawn)
            seen = now
            current.world.pause(interval_s)
    except KeyboardInterrupt:
        return


def _redraw(
    seen: output.Showable | None, now: output.Showable, current: session.Session, *, drawn: bool
) -> None:
    if current.output != "table":
        told = now if seen is None else changes.find_changes(seen.to_json(), now.to_json())
        if not isinstance(told, changes.Changes) or told.changes:
            output.data(told.to_json(), current.output)
        return
    text = repr(now)
    marked = list(changes.mark_lines(repr(seen) if seen is not None else text, text))
    if drawn:
        click.echo(_CLEAR + "\n".join(_drawn(line, new=new) for new, line in marked), color=True)
    elif seen is None:
        click.echo(text)
    else:
        output.lines(f"> {line.strip()}" for new, line in marked if new)


def _drawn(line: str, *, new: bool) -> str:
    return click.style(f"> {line}", bold=True) if new else f"  {line}"


def _saved(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise errors.UsageError(
            f"cannot read the snapshot {path}: {error}",
            hint="save one by `labkit inspect ... -o json`, or name a time such as 5s",
        ) from error
    return found if isinstance(found, dict) else {}


def _name(found: dict[str, Any]) -> str:
    return str(found.get("name") or found.get("layer") or "what was asked")
