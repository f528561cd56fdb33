"""Those whom we hear: each node, and the API server for each kind of object.

Each runs on a thread of its own until it is stopped. One that goes away is an event, too, and is
heard again when it is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from labkit import errors
from labkit.client import config as client_config
from labkit.client import watch, wire
from labkit.inspection import collect, scripts
from labkit.inspection.events import event, objects, told

#: How long to wait before a node that was lost is asked again: nobody announces that it is back.
AGAIN_S = 1.0

Tell = Callable[[event.Event], None]


class Source(Protocol):
    """`run` sets `heard` as soon as it hears everything, or knows that there is nobody."""

    name: str

    def run(self, tell: Tell, heard: threading.Event) -> None: ...

    def stop(self) -> None: ...


class Node:
    """A node's rules, and the connections that its proxy carries."""

    def __init__(self, name: str, connect: Callable[[str], collect.Streams]) -> None:
        self.name = name
        self._connect = connect
        self._stopping = threading.Event()
        self._stream: collect.Stream | None = None
        self._lost = ""

    def run(self, tell: Tell, heard: threading.Event) -> None:
        while not self._stopping.is_set():
            try:
                self._hear(tell, heard)
                why = "what listens there has ended"
            except errors.ConnectionFailed:
                why = "the connection broke, or none can be made"
            except errors.LabkitError as error:
                why = error.message
            if not self._stopping.is_set():
                self._lose(why, tell)
                heard.set()
                self._stopping.wait(AGAIN_S)

    def stop(self) -> None:
        self._stopping.set()
        if self._stream:
            self._stream.end()

    def _hear(self, tell: Tell, heard: threading.Event) -> None:
        argv = scripts.argv(Path(__file__).with_name("on_node.py"))
        with self._connect(self.name).stream(argv) as self._stream:
            if self._stopping.is_set():  # meanwhile, when there was nothing to end yet
                self._stream.end()
            lines = self._stream.lines()
            if told.is_ready(next(lines, "{}")):
                self._find(tell)
                heard.set()
            for line in lines:
                for one in told.parse(self.name, line):
                    tell(one)

    def _lose(self, why: str, tell: Tell) -> None:
        if not self._lost:
            tell(event.Event(time.time(), self.name, "source", "lost", self.name, why))
        self._lost = why

    def _find(self, tell: Tell) -> None:
        if self._lost:
            tell(event.Event(time.time(), self.name, "source", "found", self.name))
        self._lost = ""


class Objects:
    """All objects of one kind. `is_first`: of all kinds, this one says when the server is lost."""

    def __init__(
        self,
        kind: objects.Told,
        config: client_config.ClientConfig,
        dial: wire.Dial,
        *,
        is_first: bool,
    ) -> None:
        self.name = f"the API server's {kind.resource.plural}"
        self._memory = objects.Memory(kind)
        self._is_first = is_first
        self._lost = False
        self._tell: Tell = lambda _: None
        self._heard = threading.Event()
        self._reflector = watch.Reflector(
            config, kind.resource, dial=dial, on_change=self._take, on_answer=self._answered
        )

    def run(self, tell: Tell, heard: threading.Event) -> None:
        self._tell, self._heard = tell, heard
        self._reflector.run()

    def stop(self) -> None:
        self._reflector.stop()

    def _take(self, change: watch.Change) -> None:
        for one in self._memory.take(change, time.time()):
            self._tell(one)
        self._heard.set()

    def _answered(self, status: int) -> None:
        lost = status == 0
        if lost != self._lost and self._is_first:
            verb: event.Verb = "lost" if lost else "found"
            text = "it does not answer" if lost else ""
            where = event.API_SERVER
            self._tell(event.Event(time.time(), where, "source", verb, where, text))
        self._lost = lost
        if lost:
            self._heard.set()
