"""Progress on a terminal: what is done stays as a tidy list, what runs is one moving line."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import rich.console
import rich.live
import rich.spinner
import rich.text

from labkit.model import events


@contextlib.contextmanager
def watch(stream: TextIO) -> Iterator[events.Observer]:
    """Draw on `stream` until the block ends. rich itself heeds NO_COLOR."""
    console = rich.console.Console(file=stream, highlight=False)
    board = Board(console)
    with rich.live.Live(
        console=console, get_renderable=board.now, refresh_per_second=10, transient=True
    ):
        yield board.tell


class Board:
    """The line of the step that runs; finished ones are printed above it."""

    def __init__(
        self, console: rich.console.Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._spinner = rich.spinner.Spinner("dots")
        self._event: events.Event | None = None
        self._told_at = clock()
        self._began_ms = 0

    def tell(self, event: events.Event) -> None:
        if event.state == "started":
            self._began_ms = event.elapsed_ms
        over = event.state in ("done", "failed")
        self._event, self._told_at = None if over else event, self._clock()
        if over:
            self._console.print(finished(event, event.elapsed_ms - self._began_ms))

    def now(self) -> rich.console.RenderableType:
        """The moving line; its clock runs on between events."""
        if self._event is None:
            return rich.text.Text()
        since_s = self._clock() - self._told_at
        self._spinner.update(text=running(self._event, self._event.elapsed_ms / 1000 + since_s))
        return self._spinner


def running(event: events.Event, elapsed_s: float) -> rich.text.Text:
    """The step, what is awaited, how long the operation has run, and how to give up."""
    line = rich.text.Text(f"{event.step}/{event.total} {event.name}")
    awaited = ": ".join(part for part in (event.node, event.detail) if part)
    if awaited:
        line.append(f" · {awaited}", style="cyan")
    return line.append(f" · {elapsed_s:.1f} s · Ctrl-C stops", style="dim")


def finished(event: events.Event, took_ms: int) -> rich.text.Text:
    """A step that has ended; the sign repeats in a glyph what the words say."""
    if event.state == "failed":
        sign = rich.text.Text("✗ ", style="red")
        return sign.append(f"{event.step}/{event.total} {event.name} failed", style="default")
    sign = rich.text.Text("✓ ", style="green")
    sign.append(f"{event.step}/{event.total} {event.name}", style="default")
    return sign.append(f"  {took_ms / 1000:.1f} s", style="dim")
